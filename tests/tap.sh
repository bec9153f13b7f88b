# shellcheck shell=sh
# Sourced by every tests/*.sh: results as TAP, one line per case.
set -u
: "${top_srcdir:?run by make check}" "${top_builddir:?}"
top_srcdir=$(cd "$top_srcdir" && pwd)
top_builddir=$(cd "$top_builddir" && pwd)
ROOFLINT=$top_builddir/rooflint
ROOFLINT_DATA=$top_srcdir
export ROOFLINT_DATA top_srcdir
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
tap_n=0

rooflint() {
    "$ROOFLINT" "$@"
}

ok() {
    tap_n=$((tap_n + 1))
    echo "ok $tap_n - $*"
}

# not_ok NAME [FILE...]: the files' first lines explain it
not_ok() {
    tap_n=$((tap_n + 1))
    echo "not ok $tap_n - $1"
    shift
    for tap_f in "$@"; do
        echo "# ${tap_f##*/}:"
        head -n 20 "$tap_f" | sed 's/^/#   /'
    done
}

skip() {
    tap_n=$((tap_n + 1))
    echo "ok $tap_n - $1 # SKIP $2"
}

# same NAME EXPECTED GOT: two files are equal
same() {
    if diff -u "$2" "$3" >"$tmp/diff" 2>&1; then
        ok "$1"
    else
        not_ok "$1" "$tmp/diff"
    fi
}

# golden NAME FILE: FILE equals tests/golden/NAME; UPDATE_GOLDEN=1 rewrites it
golden() {
    if [ -n "${UPDATE_GOLDEN-}" ]; then
        cp "$2" "$top_srcdir/tests/golden/$1"
    fi
    same "golden $1" "$top_srcdir/tests/golden/$1" "$2"
}

done_testing() {
    echo "1..$tap_n"
}
