#!/bin/sh
# The GPU program without a GPU: every kernel on an emulated device (tests/cuda)
# against its reference, under two orders of the threads; then the whole command
# in situations that a real device gets into.
# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"
check=$top_builddir/tests/cuda/check
program=$top_builddir/rooflint-bench-emu
if ! [ -x "$check" ] || ! [ -x "$program" ]; then
    skip "kernels on an emulated device" "no C++ compiler, or a build with sanitizers"
    done_testing
    exit 0
fi

# kernels ORDER LEAST GLOB: at least so many cases of these items, all right
kernels() {
    EMU_ORDER=$1 "$check" "$3" >"$tmp/kernels" 2>&1
    status=$?
    grep -E '^(not )?ok' "$tmp/kernels" >"$tmp/lines"
    while read -r line; do
        case $line in
        ok*) ok "$1: ${line#ok * - }" ;;
        *) not_ok "$1: ${line#not ok * - }" "$tmp/kernels" ;;
        esac
    done <"$tmp/lines"
    if [ $status -eq 0 ] && [ "$(wc -l <"$tmp/lines")" -ge "$2" ]; then
        ok "$1: all of $3"
    else
        not_ok "$1: $3: exit status $status" "$tmp/kernels"
    fi
}
kernels forward 50 '*'
# those with barriers or exchanges between lanes
kernels backward 2 'attention*'
kernels backward 2 'gdn*'
kernels backward 3 'gemv'
kernels backward 2 'norm'
kernels backward 5 's[!s]*'
kernels backward 2 'ssd_[su]*'

# The command finds the emulated program under the real one's name.
ln -s "$program" "$tmp/rooflint-bench-cuda"
ROOFLINT_BENCH_DIR=$tmp
XDG_DATA_HOME=$tmp/data
export ROOFLINT_BENCH_DIR XDG_DATA_HOME

# situation NAME WORDS STATUS TEXT [ITEMS]: the emulated device plays WORDS
situation() {
    EMU=$2 rooflint bench --device cuda:0 --quick --item "${5:-launch_sync}" \
        --out "gpu-$2" >"$tmp/out" 2>&1
    status=$?
    if [ $status -eq "$3" ] && grep -qE -- "$4" "$tmp/out"; then
        ok "$1"
    else
        echo "exit status $status, expected $3 and: $4" >>"$tmp/out"
        not_ok "$1" "$tmp/out"
    fi
}
situation "a device as it should be" fine 0 '^entry .*gpu-fine.csv'
situation "no GPU" nodevice 1 'no CUDA device'
situation "a driver too old" olddriver 1 'no NVIDIA driver, or one older than'
situation "no memory at all" nomem 1 'GiB are free, at least .* another process'
situation "the memory is another's" full 1 '0.0 of 0.3 GiB are free'
situation "less memory than hoped for is used" lessmem 0 '^entry '
situation "held exclusively" exclusive 1 'another process holds it exclusively'
situation "compute mode prohibited" prohibited 1 "compute mode is 'prohibited'"
situation "a busy device is measured, with a warning" busy 0 'the device is busy \(2 other'
situation "MIG is told" mig 0 'MIG is on: this measures one slice'
situation "power without permission" nopower 0 'power is not readable'
situation "throttled clocks are told" throttled 0 'held down \(sw_power_cap\+hw_thermal\)'
situation "no NVML" nonvml 0 'no NVML'
situation "without cuBLASLt the rest is measured" nolibs 0 'GEMM is left out' 'gemm,launch_sync'
situation "a device that fails is given up" broken 1 'in a row failed: giving up' 'read,fma'

# What was measured before the end is kept.
EMU=fine "$program" --item 'launch*' --item read --out "$tmp/stopped.csv" \
    >"$tmp/out" 2>&1 &
pid=$!
tries=0
until grep -q '^read' "$tmp/stopped.csv" 2>/dev/null || [ $tries -ge 300 ]; do
    sleep 0.2
    tries=$((tries + 1))
done
kill -INT $pid
wait $pid
status=$?
if [ $status -eq 130 ] && grep -q '^read' "$tmp/stopped.csv"; then
    ok "^C keeps the rows"
else
    not_ok "^C keeps the rows: status $status" "$tmp/out" "$tmp/stopped.csv"
fi
EMU=fine "$program" --item launch_sync --out /dev/full >"$tmp/out" 2>&1
status=$?
if [ $status -eq 1 ] && [ -s "$tmp/out" ]; then
    ok "a full disk is told before anything is measured"
else
    not_ok "a full disk: status $status" "$tmp/out"
fi
done_testing
