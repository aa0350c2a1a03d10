-- SPDX-License-Identifier: GPL-2.0
-- Wireshark, tshark: what Hooker puts on the wire. README.md beside this file says how to install it.
--
--   relay            frames in UDP and UDP-Lite datagrams, and in the TCP links between daemons
--   kernel datapath  TCP segments behind a UDP or UDP-Lite header: handed to Wireshark's own TCP
--   negotiation      TCP option 254, ExID 0x484b, in SYN and SYN-ACK, and after a fallback
--
-- Numbers and offsets are those of bpf/wire.h and bpf/abi.h; tests/long_wireshark.sh compares them.

local C = {
	HK_WIRE_VERSION = 1,
	HK_OPT_KIND = 254,
	HK_OPT_EXID = 0x484b,
	HK_RELAY_PORT = 18507,
	HK_RELAY_LITE_PORT = 18508,
	HK_FRAME_F_ACK = 0x01,
	HK_KERNEL_COVERAGE = 24,
	HK_FRAME_COVERAGE = 72,
}

local kinds = {
	[1] = "DATA", -- HK_FRAME_DATA
	[2] = "END", -- HK_FRAME_END
	[3] = "ACK", -- HK_FRAME_ACK
	[4] = "RESET", -- HK_FRAME_RESET
	[5] = "PROBE", -- HK_FRAME_PROBE
}

local codes = {
	[0] = "ok", -- HK_CODE_OK
	[1] = "reset", -- HK_CODE_RST
	[2] = "timeout", -- HK_CODE_TIMEOUT
	[3] = "unknown connection", -- HK_CODE_UNKNOWN
	[4] = "daemon stopped", -- HK_CODE_STOPPED
	[5] = "out of memory", -- HK_CODE_MEMORY
	[6] = "protocol error", -- HK_CODE_PROTO
}

local datapaths = {
	[0] = "none: back to TCP", -- HK_DATAPATH_NONE
	[1] = "relay", -- HK_DATAPATH_RELAY
	[2] = "kernel", -- HK_DATAPATH_KERNEL
}

local transports = {
	[17] = "UDP", -- HK_TRANSPORT_UDP
	[136] = "UDP-Lite", -- HK_TRANSPORT_UDPLITE
}

-- Why an end went back to TCP.
local reasons = {
	[9] = "icmp-unreachable", -- HK_REASON_ICMP_UNREACHABLE
	[10] = "blackhole", -- HK_REASON_BLACKHOLE
	[11] = "peer-fell-back", -- HK_REASON_PEER_FELL_BACK
	[12] = "path-cached", -- HK_REASON_PATH_CACHED
	[13] = "daemon-stopped", -- HK_REASON_DAEMON_STOPPED
	[14] = "aborted", -- HK_REASON_ABORTED
	[15] = "undeployed", -- HK_REASON_UNDEPLOYED
}

-- struct hk_frame: member, offset, size
local frame = {
	{ "version_kind", 0, 1 },
	{ "flags_code", 1, 1 },
	{ "len", 2, 2 },
	{ "src_ip4", 4, 4 },
	{ "dst_ip4", 8, 4 },
	{ "src_port", 12, 4 },
	{ "dst_port", 16, 4 },
	{ "src_isn", 20, 4 },
	{ "dst_isn", 24, 4 },
	{ "pn", 28, 4 },
	{ "least", 32, 4 },
	{ "offset", 36, 8 },
	{ "cum", 44, 8 },
	{ "window", 52, 4 },
	{ "ack_largest", 56, 4 },
	{ "ack_first", 60, 2 },
	{ "ack_delay", 62, 2 },
}
local FRAME = 64 -- sizeof(struct hk_frame)
local RANGE = 8 -- sizeof(struct hk_ack_range)
local GREETING = 8 -- sizeof(struct hk_link_greeting)

local at = {}
for _, member in ipairs(frame) do
	at[member[1]] = { member[2], member[3] }
end

local bits = bit32 or bit -- Lua 5.2 has the one, Wireshark the other

local hooker = Proto("hooker", "Hooker")
local F = {
	version = ProtoField.uint8("hooker.version", "Version", base.DEC, nil, 0xf0),
	kind = ProtoField.uint8("hooker.kind", "Kind", base.DEC, kinds, 0x0f),
	code = ProtoField.uint8("hooker.code", "Code", base.DEC, codes, 0xf0),
	ack = ProtoField.bool("hooker.flags.ack", "Acknowledges", 8, nil, C.HK_FRAME_F_ACK),
	len = ProtoField.uint16("hooker.len", "Payload length"),
	src = ProtoField.ipv4("hooker.src", "Source of the TCP connection"),
	dst = ProtoField.ipv4("hooker.dst", "Destination of the TCP connection"),
	src_port = ProtoField.uint32("hooker.srcport", "Source port"),
	dst_port = ProtoField.uint32("hooker.dstport", "Destination port"),
	src_isn = ProtoField.uint32("hooker.src_isn", "Source's ISN"),
	dst_isn = ProtoField.uint32("hooker.dst_isn", "Destination's ISN"),
	stream = ProtoField.uint32("hooker.stream", "Connection index"),
	pn = ProtoField.uint32("hooker.pn", "Packet number"),
	least = ProtoField.uint32("hooker.least", "Least packet number still wanted"),
	offset = ProtoField.uint64("hooker.offset", "Stream offset"),
	cum = ProtoField.uint64("hooker.cum", "Received up to"),
	window = ProtoField.uint32("hooker.window", "Window"),
	ack_largest = ProtoField.uint32("hooker.ack.largest", "Largest packet number received"),
	ack_first = ProtoField.uint16("hooker.ack.first", "Directly below it"),
	ack_delay = ProtoField.uint16("hooker.ack.delay", "Acknowledgement delay (us)"),
	range_first = ProtoField.uint32("hooker.range.first", "First"),
	range_last = ProtoField.uint32("hooker.range.last", "Last"),
	payload = ProtoField.bytes("hooker.payload", "Payload"),
	greeting = ProtoField.uint8("hooker.greeting.version", "Greeting of a link, version"),
	-- The TCP option, and TCP inside.
	opt_version = ProtoField.uint8("hooker.option.version", "Version", base.DEC, nil, 0xf0),
	opt_datapath = ProtoField.uint8("hooker.option.datapath", "Datapath", base.DEC, datapaths, 0x0f),
	opt_transport = ProtoField.uint8("hooker.option.transport", "Transport", base.DEC, transports),
	opt_coverage = ProtoField.uint16("hooker.option.coverage", "Checksum coverage (0: all)"),
	opt_reason = ProtoField.uint16("hooker.option.reason", "Reason", base.DEC, reasons),
	inside = ProtoField.string("hooker.inside", "A TCP segment of Hooker's kernel datapath, inside"),
}
local E = {
	malformed = ProtoExpert.new("hooker.malformed", "Not a frame of this version", expert.group.MALFORMED,
		expert.severity.ERROR),
	exposed = ProtoExpert.new("hooker.exposed", "The checksum does not cover the whole frame header",
		expert.group.PROTOCOL, expert.severity.WARN),
	reset = ProtoExpert.new("hooker.reset", "Both directions end", expert.group.SEQUENCE, expert.severity.CHAT),
}
for _, field in pairs(F) do
	table.insert(hooker.fields, field)
end
for _, item in pairs(E) do
	table.insert(hooker.experts, item)
end

local ip_proto, ip6_next = Field.new("ip.proto"), Field.new("ipv6.nxt")
local udp_checksum, udp_coverage = Field.new("udp.checksum"), Field.new("udp.checksum_coverage")
local tcp_options, tcp_syn = Field.new("tcp.options"), Field.new("tcp.flags.syn")

-- Fields of the innermost layer come last.
local function last(extractor)
	local all = { extractor() }
	return all[#all]
end

local function is_udplite()
	local four, six = last(ip_proto), last(ip6_next)
	return (four and four.value == 136) or (six and six.value == 136) or false
end

-- ---- the relay's frames ----

local streams, stream_count = {}, 0

function hooker.init()
	streams, stream_count = {}, 0
end

-- Both directions of one connection have one index, as tcp.stream.
local function stream_of(tvb)
	local s = tvb(at.src_ip4[1], 4):bytes():tohex() .. tvb(at.src_port[1], 4):bytes():tohex() ..
		tvb(at.src_isn[1], 4):bytes():tohex()
	local d = tvb(at.dst_ip4[1], 4):bytes():tohex() .. tvb(at.dst_port[1], 4):bytes():tohex() ..
		tvb(at.dst_isn[1], 4):bytes():tohex()
	local key = s < d and s .. d or d .. s
	if not streams[key] then
		streams[key] = stream_count
		stream_count = stream_count + 1
	end
	return streams[key]
end

local function is_frame(tvb)
	if tvb:len() < FRAME then
		return false
	end
	local first = tvb(0, 1):uint()
	return bits.rshift(first, 4) == C.HK_WIRE_VERSION and kinds[bits.band(first, 15)] ~= nil
end

local function add(tree, tvb, name)
	return tree:add(F[name], tvb(at[name][1], at[name][2]))
end

local function add_ranges(tree, tvb, len)
	local ranges = tree:add(hooker, tvb(FRAME, len), "Older ranges: " .. len / RANGE)
	for offset = FRAME, FRAME + len - RANGE, RANGE do
		ranges:add(F.range_first, tvb(offset, 4))
		ranges:add(F.range_last, tvb(offset + 4, 4))
	end
end

local function info(tvb, kind, len)
	local function number(name)
		return tostring(tvb(at[name][1], at[name][2]):uint64())
	end
	local text = string.format("%s %s:%d > %s:%d", kinds[kind], tostring(tvb(4, 4):ipv4()), tvb(12, 4):uint(),
		tostring(tvb(8, 4):ipv4()), tvb(16, 4):uint())
	if kind ~= 3 then
		text = text .. " pn=" .. number("pn") .. " offset=" .. number("offset") .. " len=" .. len
	end
	text = text .. " cum=" .. number("cum") .. " win=" .. number("window")
	if kind == 2 or kind == 4 then
		local code = bits.rshift(tvb(1, 1):uint(), 4)
		text = text .. " (" .. (codes[code] or code) .. ")"
	end
	return text
end

-- One frame at the start of @tvb; returns its length.
local function dissect_frame(tvb, pinfo, root)
	if not is_frame(tvb) then
		root:add(hooker, tvb(), "Hooker relay frame"):add_proto_expert_info(E.malformed)
		return tvb:len()
	end
	local kind, len = bits.band(tvb(0, 1):uint(), 15), tvb(at.len[1], 2):uint()
	local tree = root:add(hooker, tvb(0, math.min(FRAME + len, tvb:len())), "Hooker relay frame")
	tree:add(F.version, tvb(0, 1))
	tree:add(F.kind, tvb(0, 1))
	tree:add(F.code, tvb(1, 1))
	tree:add(F.ack, tvb(1, 1))
	tree:add(F.len, tvb(2, 2))
	tree:add(F.src, tvb(4, 4))
	tree:add(F.dst, tvb(8, 4))
	for _, name in ipairs({ "src_port", "dst_port", "src_isn", "dst_isn" }) do
		add(tree, tvb, name)
	end
	tree:add(F.stream, stream_of(tvb)):set_generated()
	for _, name in ipairs({ "pn", "least", "offset", "cum", "window" }) do
		add(tree, tvb, name)
	end
	if bits.band(tvb(1, 1):uint(), C.HK_FRAME_F_ACK) ~= 0 then
		for _, name in ipairs({ "ack_largest", "ack_first", "ack_delay" }) do
			add(tree, tvb, name)
		end
	end
	if FRAME + len > tvb:len() or (kind == 3 and len % RANGE ~= 0) then
		tree:add_proto_expert_info(E.malformed)
	elseif kind == 3 and len > 0 then
		add_ranges(tree, tvb, len)
	elseif len > 0 then
		tree:add(F.payload, tvb(FRAME, len))
	end
	if kind == 4 then
		tree:add_proto_expert_info(E.reset)
	end
	pinfo.cols.protocol = "HOOKER"
	local words = info(tvb, kind, len)
	pinfo.cols.info = words
	tree:append_text(": " .. words)
	return FRAME + len, tree, words
end

-- ---- links: frames one after another in TCP, the first answer being a greeting ----

local function is_greeting(tvb)
	return tvb(0, 2):uint() == C.HK_OPT_EXID
end

local function link_length(tvb, _, offset)
	local rest = tvb(offset):tvb()
	return is_greeting(rest) and GREETING or FRAME + rest(2, 2):uint()
end

local function dissect_link_pdu(tvb, pinfo, root)
	if not is_greeting(tvb) then
		return dissect_frame(tvb, pinfo, root)
	end
	local tree = root:add(hooker, tvb(0, GREETING), "Hooker link")
	tree:add(F.greeting, tvb(2, 1))
	pinfo.cols.protocol = "HOOKER"
	pinfo.cols.info = "Greeting of a link"
	return GREETING
end

function hooker.dissector(tvb, pinfo, root)
	if pinfo.port_type == 2 then -- PT_TCP
		dissect_tcp_pdus(tvb, root, GREETING, link_length, dissect_link_pdu)
		return tvb:len()
	end
	if not is_frame(tvb) then
		return 0
	end
	local length, tree, words = dissect_frame(tvb, pinfo, root)
	local coverage = is_udplite() and last(udp_coverage)
	if coverage and coverage.value > 0 and coverage.value < C.HK_FRAME_COVERAGE then
		tree:add_proto_expert_info(E.exposed)
	end
	-- A capture on the sending host sees what UDP segmentation offload has yet to cut: many datagrams.
	local more = 0
	while length < tvb:len() do
		length = length + dissect_frame(tvb(length):tvb(), pinfo, root)
		more = more + 1
	end
	if more > 0 then
		pinfo.cols.info = words .. " (and " .. more .. " more, not cut yet)"
	end
	return tvb:len()
end

local udp_table = DissectorTable.get("udp.port")
udp_table:add(C.HK_RELAY_PORT, hooker)
udp_table:add(C.HK_RELAY_LITE_PORT, hooker)
DissectorTable.get("tcp.port"):add(C.HK_RELAY_PORT, hooker)

-- ---- the kernel datapath: TCP inside UDP or UDP-Lite ----

local tcp = Dissector.get("tcp")

-- ~(sport + dport + 2 * length + 17 - 6 - (length - 8)) in ones' complement, where the sum of a segment
-- whose TCP checksum is right has been left out: it has to be that, or the payload is not ours.
local function udp_checksum_fits(tvb, pinfo)
	local length = tvb:reported_len() + 8
	local sum = pinfo.src_port + pinfo.dst_port + 2 * length + 17 + (0xffff - 6) + (0xffff - (length - 8))
	while sum > 0xffff do
		sum = sum % 0x10000 + math.floor(sum / 0x10000)
	end
	local wanted = 0xffff - sum
	return last(udp_checksum).value == (wanted == 0 and 0xffff or wanted)
end

local function is_segment(tvb, pinfo)
	if tvb:len() < 20 or tvb(0, 2):uint() ~= pinfo.src_port or tvb(2, 2):uint() ~= pinfo.dst_port then
		return false
	end
	local header = bits.rshift(tvb(12, 1):uint(), 4) * 4
	if header < 20 or header > tvb:reported_len() then
		return false
	end
	if is_udplite() then
		local coverage = last(udp_coverage)
		return coverage ~= nil and coverage.value == C.HK_KERNEL_COVERAGE
	end
	return udp_checksum_fits(tvb, pinfo)
end

local kernel = Proto("hooker_kernel", "TCP inside, by Hooker's kernel datapath")

local function dissect_segment(tvb, pinfo, root)
	if not is_segment(tvb, pinfo) then
		return false
	end
	root:add(hooker, tvb(0, 0)):add(F.inside, is_udplite() and "UDP-Lite" or "UDP"):set_generated()
	tcp:call(tvb:range():tvb(), pinfo, root)
	return true
end
kernel:register_heuristic("udp", dissect_segment)

-- A port with a dissector of its own is asked before any heuristic, so on negotiated ports we come first.
local before, ours = {}, {}

function kernel.dissector(tvb, pinfo, root)
	if dissect_segment(tvb, pinfo, root) then
		return tvb:len()
	end
	local other = before[pinfo.dst_port] or before[pinfo.src_port]
	return other and other:call(tvb:range():tvb(), pinfo, root) or 0
end

local function take_port(port)
	local other = not ours[port] and udp_table:get_dissector(port)
	ours[port] = true
	if other and tostring(other) ~= "hooker" then
		before[port] = other
		udp_table:add(port, kernel)
	end
end

-- ---- negotiation: the option, in any TCP segment ----

local negotiation = Proto("hooker_option", "Hooker negotiation")

local function dissect_option(tvb, pinfo, root)
	local datapath = bits.band(tvb(4, 1):uint(), 15)
	local tree = root:add(hooker, tvb, "Hooker negotiation")
	local words
	tree:add(F.opt_version, tvb(4, 1))
	tree:add(F.opt_datapath, tvb(4, 1))
	tree:add(F.opt_transport, tvb(5, 1))
	if datapath == 0 then
		tree:add(F.opt_reason, tvb(6, 2))
		words = "back to TCP: " .. (reasons[tvb(6, 2):uint()] or tvb(6, 2):uint())
	else
		tree:add(F.opt_coverage, tvb(6, 2))
		words = (datapaths[datapath] or datapath) .. " " .. (transports[tvb(5, 1):uint()] or "?")
	end
	tree:append_text(": " .. words)
	pinfo.cols.info:append(" [Hooker: " .. words .. "]")
	if datapath == 2 and last(tcp_syn).value then
		take_port(pinfo.src_port)
		take_port(pinfo.dst_port)
	end
end

function negotiation.dissector(_, pinfo, root)
	for _, options in ipairs({ tcp_options() }) do
		local range, offset = options.range, 0
		while range and offset < range:len() and range(offset, 1):uint() ~= 0 do
			local kind = range(offset, 1):uint()
			local length = kind == 1 and 1 or (offset + 1 < range:len() and range(offset + 1, 1):uint() or 0)
			if length == 0 or (kind ~= 1 and length < 2) or offset + length > range:len() then
				break
			end
			if kind == C.HK_OPT_KIND and length == 8 and range(offset + 2, 2):uint() == C.HK_OPT_EXID then
				dissect_option(range(offset, length), pinfo, root)
			end
			offset = offset + length
		end
	end
end
register_postdissector(negotiation)
