#!/bin/sh
# make bench: whole-process time of one prediction, then the library's rate.
# Prints figures and ratios; judges nothing.
: "${top_srcdir:=$(dirname "$0")/..}"
runs=50
cmd="./rooflint predict --data $top_srcdir --hw orin --model mamba2-1.3b --ctx 128k"
$cmd >/dev/null || exit 1
start=$(date +%s%N)
i=0
while [ $i -lt $runs ]; do $cmd >/dev/null; i=$((i + 1)); done
one=$(( ($(date +%s%N) - start) / runs / 1000 ))
start=$(date +%s%N)
i=0
while [ $i -lt $runs ]; do /bin/true; i=$((i + 1)); done
null=$(( ($(date +%s%N) - start) / runs / 1000 ))
echo "whole process, mean of $runs: predict $one µs, /bin/true $null µs"
echo
exec ./tests/bench_predict "$top_srcdir"
