#!/bin/sh
# Help of every command, the man page, and what is common to all commands.
# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

rooflint --help >"$tmp/all"
for c in $(rooflint --commands); do
    if rooflint "$c" -h >"$tmp/h" 2>"$tmp/err" && [ ! -s "$tmp/err" ] &&
        grep -q "^usage: rooflint $c " "$tmp/h" && grep -q "^  $c " "$tmp/all"; then
        ok "$c -h"
    else
        not_ok "$c -h" "$tmp/h" "$tmp/err"
    fi
    rooflint "$c" --help >"$tmp/h2"
    same "$c --help is -h" "$tmp/h" "$tmp/h2"
    if [ "$(LC_ALL=C.UTF-8 wc -L <"$tmp/h")" -le 80 ]; then
        ok "$c -h is at most 80 columns wide"
    else
        not_ok "$c -h is at most 80 columns wide" "$tmp/h"
    fi
    rooflint "$c" --no-such-option >"$tmp/out" 2>"$tmp/err"
    if [ $? = 2 ] && grep -q "unknown option '--no-such-option'" "$tmp/err" &&
        [ ! -s "$tmp/out" ]; then
        ok "$c refuses an unknown option"
    else
        not_ok "$c refuses an unknown option" "$tmp/err"
    fi
done

# The man pages: rooflint(1) names every command, each has a page with its options.
: >"$tmp/empty"
rooflint --man >"$tmp/rooflint.1"
for c in $(rooflint --commands); do
    rooflint --man "$c" >"$tmp/rooflint-$c.1"
    if grep -q "^\.It Xr rooflint-$c 1\$" "$tmp/rooflint.1"; then
        ok "rooflint(1) names $c"
    else
        not_ok "rooflint(1) names $c"
    fi
    rooflint "$c" --help | sed -nE 's/^ +(-[A-Za-z], )?--([a-z-]+).*/\2/p' | sort >"$tmp/in_help"
    sed -n 's/^\.It .*Fl Fl \([a-z-]*\).*/\1/p' "$tmp/rooflint-$c.1" | sort >"$tmp/in_man"
    same "rooflint-$c(1) has the options of its help" "$tmp/in_help" "$tmp/in_man"
done
for page in "$tmp"/*.1; do
    name=$(basename "$page" .1)
    if ! command -v mandoc >/dev/null; then
        skip "$name(1) lint" "no mandoc"
    else # a reference to another page is not on the system before it is installed
        mandoc -Tlint "$page" 2>&1 | grep -v 'referenced manual not found' >"$tmp/lint"
        same "mandoc finds nothing in $name(1)" "$tmp/empty" "$tmp/lint"
    fi
done
if rooflint --man no-such-command >"$tmp/out" 2>"$tmp/err"; then
    not_ok "no page for an unknown command"
else
    same "no page for an unknown command" "$tmp/empty" "$tmp/out"
fi
done_testing
