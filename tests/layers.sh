#!/bin/sh
# The layers of tests/layers.txt hold: no upward #include, no file access in
# predict/, no printing or exiting in the library.
# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"
cd "$top_srcdir" || exit 99

layer_of() {
    while read -r layer pattern; do
        case $layer in '' | '#'*) continue ;; esac
        # shellcheck disable=SC2254
        case $1 in $pattern) echo "$layer" && return ;; esac
    done <tests/layers.txt
}

for f in src/*.[ch] predict/*.[ch]; do
    layer_of "$f" | sed "s|^|$f |"
done >"$tmp/layers"
for f in src/*.[ch] predict/*.[ch]; do
    grep -q "^$f " "$tmp/layers" || echo "$f"
done >"$tmp/unlisted"
if [ -s "$tmp/unlisted" ]; then
    not_ok "every file is listed in tests/layers.txt" "$tmp/unlisted"
else
    ok "every file is listed in tests/layers.txt"
fi

# A source that no makefile lists is neither built nor shipped.
for f in src/*.[ch] predict/*.[ch] tests/*.[ch] tests/fuzz/*.[ch] microbench/*.[ch] \
    microbench/*/*.[ch] microbench/*/*.cu; do
    [ -f "$f" ] || continue
    name=$f
    case $f in tests/test_*.c) name=${f%.c}.t ;; esac
    grep -qF "$name" ./*/local.mk || grep -qF "${f%.c} " ./*/local.mk ||
        grep -q "${f%.c}\$" ./*/local.mk || echo "$f"
done >"$tmp/unbuilt"
if [ -s "$tmp/unbuilt" ]; then
    not_ok "every source is listed in a local.mk" "$tmp/unbuilt"
else
    ok "every source is listed in a local.mk"
fi

# "file layer header layer" for each include of our own headers
grep -n '^#include "' src/*.[ch] predict/*.[ch] |
    awk -v map="$tmp/layers" '
    BEGIN {
        while ((getline line < map) > 0) {
            split(line, a, " ")
            layer[a[1]] = a[2]
            base = a[1]; sub(/.*\//, "", base)
            of[base] = a[2]
        }
    }
    {
        split($0, part, ":")
        header = $0; sub(/.*#include "/, "", header); sub(/".*/, "", header)
        sub(/.*\//, "", header)
        if (header in of && of[header] > layer[part[1]])
            print part[1] ":" part[2] ": layer " layer[part[1]] \
                " includes " header " of layer " of[header]
    }' >"$tmp/upward"
if [ -s "$tmp/upward" ]; then
    not_ok "no file includes a higher layer" "$tmp/upward"
else
    ok "no file includes a higher layer"
fi

# the house rule for the microbenchmarks: layer 0 only
grep -n '^#include "' microbench/*.[ch] microbench/*/*.[ch] microbench/*/*.cu 2>/dev/null |
    awk -v map="$tmp/layers" '
    BEGIN {
        while ((getline line < map) > 0) {
            split(line, a, " ")
            base = a[1]; sub(/.*\//, "", base)
            of[base] = a[2]
        }
    }
    {
        header = $0; sub(/.*#include "/, "", header); sub(/".*/, "", header)
        if (header in of && of[header] > 0)
            print $0
    }' >"$tmp/micro"
if [ -s "$tmp/micro" ]; then
    not_ok "microbench/ uses layer 0 only" "$tmp/micro"
else
    ok "microbench/ uses layer 0 only"
fi

calls() { # calls NAMES FILE...: calls outside comments and strings
    names=$1 # a regular expression
    shift
    sed_comments='s|/\*.*||; s|^ *\*.*||; s|"[^"]*"|""|g'
    for f in "$@"; do
        sed "$sed_comments" "$f" | grep -nE "(^|[^A-Za-z_0-9])($names)" | sed "s|^|$f:|"
    done
}

calls '(fopen|open|fread|fgets|getline|opendir|f?printf|puts|getenv|exit|abort) *\(' \
    predict/*.[ch] >"$tmp/predict"
if [ -s "$tmp/predict" ]; then
    not_ok "predict/ reads no files, prints nothing, never exits" "$tmp/predict"
else
    ok "predict/ reads no files, prints nothing, never exits"
fi

library=$(awk '$2 < 7 && $1 ~ /^src\/.*\.c$/ { print $1 }' "$tmp/layers")
# shellcheck disable=SC2086
calls '((printf|puts|perror|exit|abort|assert) *\(|stdout|stderr)' $library >"$tmp/library"
if [ -s "$tmp/library" ]; then
    not_ok "the library prints nothing and never exits" "$tmp/library"
else
    ok "the library prints nothing and never exits"
fi
done_testing
