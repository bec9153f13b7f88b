#!/bin/sh
# Replays the corpus of each fuzz target; a crash or a sanitizer's finding
# fails it.
# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

for corpus in "$top_srcdir"/tests/fuzz/corpus/*; do
    target=$(basename "$corpus")
    # libFuzzer's own main takes files too
    if "$top_builddir/tests/fuzz/$target.fuzz" "$corpus"/* >"$tmp/out" 2>"$tmp/err" &&
        ! grep -q '^not ok' "$tmp/out"; then
        ok "$target: $(find "$corpus" -type f | wc -l) inputs"
    else
        tail -n 20 "$tmp/out" >"$tmp/last"
        not_ok "$target" "$tmp/last" "$tmp/err"
    fi
done
done_testing
