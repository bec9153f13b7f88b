#!/bin/sh
# h200.sh suite|runs OUT [MINUTES]: what one H200 (or any other NVIDIA GPU) is
# measured with, in two calls of at most ten minutes on a bare machine that has
# CUDA's driver, Python, PyTorch and transformers and reaches no network.
#
#   suite   rooflint-bench-cuda, --quick, then every item; then ops_torch.py --quick
#   runs    run_torch.py over the models, eager and CUDA graphs; the rest of
#           ops_torch.py with what time is left
#
# Bring along: the program, built where the libraries are (no shared library but
# CUDA's driver is needed where it runs):
#   make cuda CUDA_ARCHS=90 CSV_LIBS=-l:libcsv.a
# microbench/realrun, models/, and in ./wheels what the machine lacks: wheels, and
# the source archives of mamba_ssm and of flash-linear-attention, whose Triton
# kernels need no compiler.  Afterwards, at home:
#   rooflint bench --from OUT/rows.csv --out hwdb/devices/h200-sxm-141gb.csv
#   rooflint calibrate OUT/rows-ops.csv OUT/ops.csv --out hwdb/kernels
#   rooflint validate OUT/runs.csv
set -u
phase=${1-}
out=${2-}
minutes=${3:-9}
here=$(cd "$(dirname "$0")" && pwd) || exit 1
device=${ROOFLINT_DEVICE:-h200-sxm-141gb}
program=${ROOFLINT_BENCH_DIR:-.}/rooflint-bench-cuda
case $phase in
suite | runs) ;;
*) phase= ;;
esac
if [ -z "$phase" ] || [ -z "$out" ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
mkdir -p "$out" || exit 1
end=$(($(date +%s) + minutes * 60))

left() { # seconds left, at least 1
    s=$((end - $(date +%s)))
    [ "$s" -gt 1 ] && echo "$s" || echo 1
}

# Packages in ./wheels, and pure-Python sources whose package file would load a
# compiled extension that is not there: it is emptied, the kernels stay.
site=$PWD/site
if [ -d wheels ] && [ ! -d "$site" ]; then
    mkdir -p "$site"
    set -- wheels/*.whl
    [ -e "$1" ] && python3 -m pip install -q --no-index --no-deps --no-compile \
        --target "$site" "$@"
    for archive in wheels/*.tar.gz; do
        [ -e "$archive" ] || continue
        mkdir -p sources && tar xzf "$archive" -C sources
    done
    for package in mamba_ssm fla; do
        from=$(find sources -maxdepth 2 -type d -name "$package" 2>/dev/null | head -n 1)
        [ -n "$from" ] && [ ! -d "$site/$package" ] && cp -r "$from" "$site/"
    done
    [ -d "$site/selective_scan_cuda" ] || ls "$site"/selective_scan_cuda* >/dev/null 2>&1 ||
        [ ! -d "$site/mamba_ssm" ] || : >"$site/mamba_ssm/__init__.py"
fi
PYTHONPATH=$site${PYTHONPATH+:$PYTHONPATH}
PYTHONUNBUFFERED=1
export PYTHONPATH PYTHONUNBUFFERED

if [ "$phase" = suite ]; then
    nvidia-smi >"$out/nvidia-smi.txt" 2>&1
    # what a prediction needs most first, then the rest; an interrupt ends it
    # cleanly, and a further call goes on with what is missing
    timeout -s INT $(($(left) / 3)) "$program" --quick --resume "$out/rows.csv" \
        2>"$out/suite.log"
    timeout -s INT $(($(left) * 8 / 10)) "$program" --resume "$out/rows.csv" \
        2>>"$out/suite.log"
    timeout -s INT "$(left)" python3 "$here/ops_torch.py" --quick --device "$device" \
        --out "$out/ops.csv" 2>"$out/ops.log"
    tail -n 3 "$out/suite.log" "$out/ops.log"
    exit 0
fi

run() { # MODELS PROMPTS BATCHES MODES
    timeout -s INT "$(left)" python3 "$here/run_torch.py" --device "$device" \
        --models "$1" --prompts "$2" --batches "$3" --modes "$4" --repetitions 3 \
        --timeout 75 --models-dir "$here/../../models" --out "$out/runs.csv" \
        2>>"$out/runs.log"
}
run qwen2.5-0.5b,llama-3.2-1b,qwen2.5-1.5b 1k,8k,32k 1 eager,graph
run mamba2-780m,mamba-130m 1k,8k,32k 1 eager,graph
run llama-3.1-8b 1k,8k 1,16 eager,graph
run falcon-h1-0.5b,zamba2-1.2b,mamba-1.4b,mamba2-1.3b,falcon-h1-1.5b 1k,8k 1 eager
run qwen2.5-0.5b,llama-3.2-1b 1k 16,64 graph
timeout -s INT "$(left)" python3 "$here/ops_torch.py" --device "$device" \
    --out "$out/ops.csv" 2>>"$out/ops.log"
tail -n 5 "$out/runs.log" "$out/ops.log"
exit 0
