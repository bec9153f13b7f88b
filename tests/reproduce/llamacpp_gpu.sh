#!/bin/sh
# llama.cpp on GPUs it has not seen: the fitted numbers of llamacpp-cuda-2024.csv (or,
# of Apple's GPUs, llamacpp-metal-2024.csv) fitted again without one device after the
# other, and what the device left out is predicted with them.
#
#     tests/reproduce/llamacpp_gpu.sh RUNS.csv [ROOFLINT [DATA [cuda|metal]]]
#
# RUNS: rows of the runs schema, such as XiongjieDai's llama-bench tables of
# Llama-3 8B and 70B (7 GPUs, 360 rows).  Takes minutes: two or three fits a device.
set -eu
runs=$1 rooflint=${2:-rooflint} data=${3:-${ROOFLINT_DATA:-.}} back_end=${4:-cuda}
file=hwdb/runtimes/llamacpp-$back_end-2024.csv
# Passes of a fit: metric and keys, --tune takes six at most.
if [ "$back_end" = metal ]; then
    passes="decode:speed.all.fixed speed.gemm.dram speed.gemm.lane.q4_k_m
        speed.attention_scores.lane
        prefill:speed.gemm.eff.fp16 speed.gemm.eff speed.gemm.eff@apple9
        speed.gemm.eff.q4_k_m speed.gemm.eff.q4_k_m@apple9 speed.attention_scores.eff"
else
    passes="decode:speed.all.fixed speed.gemm.lane.fp16 speed.gemm.tail.fp16
        speed.gemm.lane speed.gemm.dram split.hop_us
        decode:speed.attention_scores.dram speed.attention_scores.lane
        prefill:speed.gemm.eff speed.gemm.unpack_lane speed.attention_scores.eff"
fi
# Rows of machines that something disturbed (docs/models-llamacpp.md): judged, not fitted.
disturbed='^[^,]*,(a100-sxm-80gb,4|a40,[14],llama-3-70b,q4_k_m),'
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp -r "$data/hwdb" "$data/models" "$dir"

# KEY=VALUE,… as the file has them now
start() {
    for k in "$@"; do
        awk -F, -v k="$k" '$1 == k { gsub(/"/, "", $2); printf "%s=%s\n", k, $2 }' \
            "$data/$file"
    done | paste -sd, -
}
# Rows of KEY,VALUE on stdin take the place of those in the copied file.
put() {
    awk -F, 'NR == FNR { if ($1 !~ /^#/) v[$1] = $2; next }
        $1 in v { sub(/,("[^"]*"|[^,]*),/, "," v[$1] ",") } { print }' \
        - "$dir/$file" >"$dir/new" && mv "$dir/new" "$dir/$file"
}

for d in $(awk -F, 'NR > 1 { print $2 }' "$runs" | sort -u); do
    awk -F, -v d="$d" 'NR == 1 || $2 != d' "$runs" | grep -Ev "$disturbed" \
        >"$dir/rest.csv"
    awk -F, -v d="$d" 'NR == 1 || $2 == d' "$runs" >"$dir/out.csv"
    cp "$data/$file" "$dir/$file"
    metric=
    for word in $passes end:; do
        case $word in
        *:*)
            [ -z "$metric" ] || {
                # shellcheck disable=SC2086
                "$rooflint" calibrate "$dir/rest.csv" --data "$dir" --metric "$metric" \
                    --tune "$(start $keys)" >"$dir/fit.csv"
                sed "s/^/# $d left out: /" "$dir/fit.csv"
                put <"$dir/fit.csv"
            }
            metric=${word%%:*} keys=${word#*:} ;;
        *) keys="$keys $word" ;;
        esac
    done
    "$rooflint" validate "$dir/out.csv" --data "$dir" --by device,metric
done
