# Measuring programs; `make cuda` builds the GPU part where nvcc was found.
#
# The harness is a library of its own: the host's program, the CUDA program and
# the tests link it.

noinst_LTLIBRARIES += libmb.la
libmb_la_LIBADD = librl.la
libmb_la_SOURCES = \
	microbench/harness.h \
	microbench/program.c \
	microbench/rows.c \
	microbench/sample.c \
	microbench/stats.c \
	microbench/sysinfo.c

# Found by `rooflint bench` beside itself or in $(pkglibexecdir).
pkglibexec_PROGRAMS = rooflint-bench-host
rooflint_bench_host_LDADD = libmb.la librl.la -ldl -lpthread -lm
# ISO C forbids to fuse a * b + c unless asked: the kernels are meant to be.
rooflint_bench_host_CFLAGS = $(AM_CFLAGS) -O2 -ffp-contract=fast
rooflint_bench_host_SOURCES = \
	microbench/host/bandwidth.c \
	microbench/host/blas.c \
	microbench/host/conv.c \
	microbench/host/env.c \
	microbench/host/fma.c \
	microbench/host/gemv.c \
	microbench/host/host.h \
	microbench/host/latency.c \
	microbench/host/main.c \
	microbench/host/qdot.c \
	microbench/host/scan.c \
	microbench/host/simd.h \
	microbench/host/team.c
