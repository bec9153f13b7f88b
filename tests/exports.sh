#!/bin/sh
# The shared library shows exactly what rooflint.h declares.
# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

so=$top_builddir/.libs/librooflint.so
if [ ! -f "$so" ] || ! command -v nm >/dev/null; then
    skip "exported symbols" "no shared library or no nm"
else
    nm -D --defined-only "$so" | awk '$2 ~ /[A-Z]/ { print $3 }' | sort >"$tmp/got"
    sort "$top_builddir/librooflint.sym" >"$tmp/want"
    same "exported symbols are those of rooflint.h" "$tmp/want" "$tmp/got"
fi
done_testing
