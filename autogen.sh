#!/bin/sh
# Makes `configure` (no options), or goes all the way from a fresh clone:
#   --run    install missing Debian packages, configure and build in build/,
#            run the main job
#   --check  the same, then `make check`
set -e
cd "$(dirname "$0")"

packages="autoconf automake libtool pkg-config make gcc libc6-dev libgsl-dev
libcsv-dev libjansson-dev libcriterion-dev gnuplot-nox mandoc"

missing_packages() {
    for p in $packages; do
        case $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null) in
        *' installed') ;;
        *) printf ' %s' "$p" ;;
        esac
    done
}

# Installs what is missing when root or a password-less sudo allows it;
# otherwise says exactly what to install, and goes on: configure decides.
install_packages() {
    command -v dpkg-query >/dev/null || return 0
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" = 0 ]; then
        as_root=
    elif sudo -n true 2>/dev/null; then
        as_root=sudo
    else
        echo "autogen.sh: missing packages; as root run: apt-get install$missing" >&2
        return 0
    fi
    echo "autogen.sh: installing$missing" >&2
    $as_root apt-get update -qq
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends $missing
}

usage() {
    echo "usage: ./autogen.sh [--run | --check]" >&2
    exit 2
}

[ $# -le 1 ] || usage
case ${1-} in
'') exec autoreconf -fi ;;
--run | --check) ;;
*) usage ;;
esac

install_packages
[ -x configure ] || autoreconf -fi
mkdir -p build
cd build
[ -f Makefile ] || ../configure
make -j"$(nproc)"
./rooflint predict --hw orin --model mamba2-1.3b --ctx 128k
if [ "$1" = --check ]; then
    make -j"$(nproc)" check
fi
