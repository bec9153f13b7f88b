#!/bin/sh
# The pictures of docs/gallery.md: each is there, shown, and of today's numbers.
# `make refresh` makes them anew.
# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

page=$top_srcdir/docs/gallery.md
PATH=$top_builddir:$PATH
export PATH
sed -n 's/^    \(rooflint plot .*\)/\1/p' "$page" >"$tmp/commands"
if [ ! -s "$tmp/commands" ]; then not_ok "docs/gallery.md has commands"; fi

made_by() { # the gnuplot that drew a picture
    sed -n 's/.*Produced by GNUPLOT \([^ ]* patchlevel [^ ]*\).*/\1/p' "$1"
}

cd "$tmp" || exit 99
mkdir -p gallery docs
ln -s "$top_srcdir/docs/gallery" docs/gallery
while read -r line; do
    file=gallery/${line##*--out gallery/}
    kept=$top_srcdir/docs/$file
    if [ -s "$kept" ] && grep -qF "]($file)" "$page"; then
        ok "$file is shown"
    else
        not_ok "$file is shown"
        continue
    fi
    if ! command -v gnuplot >/dev/null; then
        skip "$file is of today's numbers" "no gnuplot"
    elif ! eval "$line" 2>err; then
        not_ok "$line" err
    elif [ "$(made_by "$kept")" != "$(made_by "$file")" ]; then
        skip "$file is of today's numbers" "drawn by another gnuplot"
    elif cmp -s "$kept" "$file"; then
        ok "$file is of today's numbers"
    else
        not_ok "$file is of today's numbers: run make refresh"
    fi
done <commands
done_testing
