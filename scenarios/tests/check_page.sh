#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The report in a real browser, wide and as narrow as a phone: it opens without an error, every figure is drawn,
# nothing is wider than the screen, every link within it leads somewhere.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
# A browser is a hundred megabytes for this one test: deps does not install it.
browser=$(type -P chromium || type -P chromium-browser || type -P google-chrome) || skip_all 'no browser: apt-get install chromium'
work=$(mktemp -d)
defer 'rm -rf "$work"'
cp -r "$root/results/reference" "$work/r"
"$root/scenarios/report" "$work/r"
figures=$(find "$work/r" -name 'fig*.svg' | wc -l)

# The page says of itself, in its title, what the browser made of it.
cat "$work/r/report.html" - >"$work/probe.html" <<-'END'
	<script>
	let wrong = [], drawn = 0;
	for (const svg of document.querySelectorAll('figure svg')) {
		const box = svg.getBoundingClientRect();
		if (box.width > 100 && box.height > 50 && svg.querySelectorAll('path, rect, use').length > 10) drawn++;
	}
	for (const a of document.querySelectorAll('a[href^="#"]'))
		if (!document.getElementById(a.getAttribute('href').slice(1))) wrong.push(a.getAttribute('href'));
	const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
	document.title = JSON.stringify({drawn, wrong, wide: document.documentElement.scrollWidth > window.innerWidth,
		twice: ids.length - new Set(ids).size, height: document.documentElement.scrollHeight > 1000});
	</script>
END
look() { # WIDTH
	timeout 120 "$browser" --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$work/profile" \
		--window-size="$1,900" --enable-logging=stderr --dump-dom "file://$work/probe.html" 2>"$work/errors" |
		grep -o '<title>.*</title>' | sed 's/<[^>]*>//g' | head -n1
}

plan 9
for width in 1280 500; do
	said=$(look $width)
	is "$width wide: every figure is drawn" "$(jq -r .drawn <<<"$said")" "$figures"
	is "$width wide: nothing wider than the screen" "$(jq -r .wide <<<"$said")" false
	is "$width wide: no error" "$(grep -c 'CONSOLE' "$work/errors" || true)" 0
done
is 'every link within the page leads somewhere' "$(jq -c .wrong <<<"$said")" '[]'
is 'no name twice' "$(jq -c .twice <<<"$said")" 0
timeout 120 "$browser" --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$work/profile" \
	--print-to-pdf="$work/page.pdf" "file://$work/r/report.html" 2>/dev/null || :
ok 'it can be printed' test "$(head -c 4 "$work/page.pdf")" = %PDF
