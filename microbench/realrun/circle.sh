#!/bin/sh
# circle.sh OUT [PYTHON]: the whole circle on this machine's CPU. Measure it, run
# llama.cpp for real on random weights, predict the runs from the measurement alone,
# compare; the tables go to OUT/circle.txt.  PYTHON has llama-cpp-python and numpy.
#
# MODELS, DTYPES, PROMPTS, DEPTHS, THREADS and REPETITIONS may be set in the
# environment.  CLOCK=cpu (one thread only) times runs by the CPU time they used:
# on a machine that others keep busy the wall clock tells of them, not of the model.
# Started again it goes on: the entry and the rows that exist are kept.
set -eu
out=${1:?circle.sh: expected a folder for the results}
python=${2:-python3}
here=$(cd "$(dirname "$0")" && pwd)
rooflint=${ROOFLINT:-rooflint}
mkdir -p "$out"

load() {
    echo "$1: load $(cut -d' ' -f1-3 /proc/loadavg)" >>"$out/load.txt"
}

load "before the bench"
# a figure refused as above a physical limit is left out, the entry holds without it
[ -e "$out/host.csv" ] ||
    XDG_DATA_HOME=$out "$rooflint" bench --quick --resume "$out/bench.csv" --out "$out/host.csv" ||
    [ -e "$out/host.csv" ]
load "before the runs"
"$python" "$here/run_llamacpp.py" --out "$out/runs.csv" --cache "$out/gguf" \
    --models "${MODELS:-smollm2-135m,qwen2.5-0.5b,mamba-130m,mamba2-130m,falcon-h1-0.5b}" \
    --dtypes "${DTYPES:-fp16,q8_0,q4_k_m}" --prompts "${PROMPTS:-128,512,2k,8k}" \
    --depths "${DEPTHS:-0,512,2k,8k}" --threads "${THREADS:-$(nproc)}" \
    --repetitions "${REPETITIONS:-5}" --clock "${CLOCK:-wall}" \
    --models-dir "${ROOFLINT_DATA:-$here/../..}/models"
load "after the runs"

# `host` is the user's entry: here the one just measured
mkdir -p "$out/rooflint"
cp "$out/host.csv" "$out/rooflint/host.csv"
{
    cat "$out/load.txt"
    for metric in decode_tokens_per_s prefill_tokens_per_s; do
        for by in model dtype; do
            XDG_DATA_HOME=$out "$rooflint" validate "$out/runs.csv" --metric "$metric" --by "$by"
        done
    done
} | tee "$out/circle.txt"
