// SPDX-License-Identifier: GPL-2.0
#include "hooker/base/names.h"

#include <stddef.h>

#include "bpf/abi.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *lookup(const char *const *words, size_t count, unsigned int value)
{
	return value < count && words[value] ? words[value] : "?";
}

const char *hk_reason_name(unsigned int reason)
{
	static const char *const words[HK_REASON_MAX] = {
		[HK_REASON_NONE] = "none",
		[HK_REASON_NEGOTIATED] = "negotiated",
		[HK_REASON_PEER_WITHOUT_HOOKER] = "peer-without-hooker",
		[HK_REASON_RULE] = "rule",
		[HK_REASON_SYN_COOKIE] = "syn-cookie",
		[HK_REASON_LOOPBACK] = "loopback",
		[HK_REASON_IPV6] = "ipv6",
		[HK_REASON_NO_ROOM] = "no-room",
		[HK_REASON_ICMP_UNREACHABLE] = "icmp-unreachable",
		[HK_REASON_BLACKHOLE] = "blackhole",
		[HK_REASON_PEER_FELL_BACK] = "peer-fell-back",
		[HK_REASON_PATH_CACHED] = "path-cached",
		[HK_REASON_DAEMON_STOPPED] = "daemon-stopped",
		[HK_REASON_ABORTED] = "aborted",
		[HK_REASON_UNDEPLOYED] = "undeployed",
	};

	return lookup(words, COUNT(words), reason);
}

const char *hk_datapath_name(unsigned int datapath)
{
	static const char *const words[] = {
		[HK_DATAPATH_NONE] = "none",
		[HK_DATAPATH_RELAY] = "relay",
		[HK_DATAPATH_KERNEL] = "kernel",
	};

	return lookup(words, COUNT(words), datapath);
}

const char *hk_transport_name(unsigned int protocol)
{
	static const char *const words[] = {
		[HK_TRANSPORT_TCP] = "tcp",
		[HK_TRANSPORT_UDP] = "udp",
		[HK_TRANSPORT_UDPLITE] = "udplite",
	};

	return lookup(words, COUNT(words), protocol);
}

const char *hk_flow_state_name(unsigned int state)
{
	static const char *const words[] = {
		[HK_FLOW_TCP] = "tcp",
		[HK_FLOW_ACTIVE] = "active",
		[HK_FLOW_CLOSING] = "closing",
	};

	return lookup(words, COUNT(words), state);
}

const char *hk_counter_name(unsigned int counter)
{
	static const char *const words[HK_COUNT_MAX] = {
		[HK_COUNT_SYN_OFFERED] = "syn_offered",
		[HK_COUNT_SYN_AGREED] = "syn_agreed",
		[HK_COUNT_ESTABLISHED] = "established",
		[HK_COUNT_PLAIN] = "plain",
		[HK_COUNT_OPT_NO_ROOM] = "option_no_room",
		[HK_COUNT_OPT_FOREIGN] = "option_foreign",
		[HK_COUNT_MAP_FULL] = "map_full",
		[HK_COUNT_MSG_REDIRECTED] = "msg_redirected",
		[HK_COUNT_MSG_PASSED] = "msg_passed",
		[HK_COUNT_MSG_PUSH_FAILED] = "msg_push_failed",
		[HK_COUNT_MSG_DELIVERED] = "msg_delivered",
		[HK_COUNT_MSG_BOUNCED] = "msg_bounced",
		[HK_COUNT_MSG_REFUSED] = "msg_refused",
		[HK_COUNT_NO_ROOM] = "no_room",
		[HK_COUNT_KICKED] = "writers_kicked",
		[HK_COUNT_KICK_FAILED] = "kick_failed",
		[HK_COUNT_BRAKED] = "writers_braked",
		[HK_COUNT_XDP_PASSED] = "xdp_passed",
		[HK_COUNT_RELAY_HELD] = "relay_held",
		[HK_COUNT_RELAY_FIN_KEPT] = "relay_fin_kept",
		[HK_COUNT_RELAY_TCP_DATA] = "relay_tcp_data",
		[HK_COUNT_EVENT_LOST] = "event_lost",
		[HK_COUNT_KERNEL_TX] = "kernel_tx",
		[HK_COUNT_KERNEL_TX_GSO] = "kernel_tx_gso",
		[HK_COUNT_KERNEL_TX_PROBE] = "kernel_tx_probe",
		[HK_COUNT_KERNEL_TX_TCP] = "kernel_tx_tcp",
		[HK_COUNT_KERNEL_TX_ROOM] = "kernel_tx_no_room",
		[HK_COUNT_KERNEL_TX_WHOLE] = "kernel_tx_not_cut",
		[HK_COUNT_KERNEL_RX] = "kernel_rx",
		[HK_COUNT_KERNEL_RX_UNKNOWN] = "kernel_rx_unknown",
		[HK_COUNT_KERNEL_RX_MALFORMED] = "kernel_rx_malformed",
		[HK_COUNT_KERNEL_RX_CHECKSUM] = "kernel_rx_bad_checksum",
		[HK_COUNT_KERNEL_RX_NAT] = "kernel_rx_nat_repaired",
		[HK_COUNT_KERNEL_RX_DAMAGED] = "kernel_rx_damage_accepted",
		[HK_COUNT_KERNEL_RX_TCP] = "kernel_rx_tcp",
		[HK_COUNT_KERNEL_ICMP_REPAIRED] = "kernel_icmp_repaired",
		[HK_COUNT_KERNEL_ICMP_FALLBACK] = "kernel_icmp_fallback",
		[HK_COUNT_KERNEL_ICMP_IGNORED] = "kernel_icmp_ignored",
		[HK_COUNT_KERNEL_SUSPECT] = "kernel_suspect",
		[HK_COUNT_KERNEL_RST_REPAIRED] = "kernel_rst_repaired",
		[HK_COUNT_KERNEL_FALLBACK] = "kernel_fallback",
	};

	return counter < HK_COUNT_MAX ? words[counter] : NULL;
}
