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

EXTRA_DIST += \
	microbench/realrun/circle.sh \
	microbench/realrun/common.py \
	microbench/realrun/gguf_random.py \
	microbench/realrun/h200.sh \
	microbench/realrun/ops_torch.py \
	microbench/realrun/run_llamacpp.py \
	microbench/realrun/run_torch.py

### The GPU part: not built by `make`, since twelve architectures take minutes.
# make cuda CUDA_ARCHS=90 builds for one.

CUDA_ARCHS =
NVCCFLAGS = -O3 -std=c++17 -Xcompiler=-Wall -D_GNU_SOURCE
cuda_sources = \
	microbench/cuda/attention.cu \
	microbench/cuda/conv.cu \
	microbench/cuda/copy.cu \
	microbench/cuda/elementwise.cu \
	microbench/cuda/env.cu \
	microbench/cuda/gdn.cu \
	microbench/cuda/gemm.cu \
	microbench/cuda/gemv.cu \
	microbench/cuda/launch.cu \
	microbench/cuda/main.cu \
	microbench/cuda/memory.cu \
	microbench/cuda/nvml.cu \
	microbench/cuda/power.cu \
	microbench/cuda/rates.cu \
	microbench/cuda/scan.cu \
	microbench/cuda/selective.cu \
	microbench/cuda/ssd.cu \
	microbench/cuda/ssd_update.cu
cuda_objects = $(cuda_sources:.cu=.o)

cuda_headers = \
	microbench/cuda/gpu.h \
	microbench/cuda/ptx.h \
	microbench/cuda/scan.h

EXTRA_DIST += $(cuda_sources) $(cuda_headers) build-aux/cuda-archs
CLEANFILES += $(cuda_objects) rooflint-bench-cuda

SUFFIXES = .cu
.cu.o:
	@$(MKDIR_P) $(@D)
	$(AM_V_GEN)$(NVCC) $(NVCCFLAGS) -I$(srcdir)/src \
	    `$(srcdir)/build-aux/cuda-archs $(NVCC) "$(CUDA_ARCHS)"` -c -o $@ $<

$(cuda_objects): $(cuda_headers) microbench/harness.h

rooflint-bench-cuda: $(cuda_objects) libmb.la
	$(AM_V_GEN)$(NVCC) -o $@ $(cuda_objects) .libs/libmb.a \
	    $(CSV_LIBS) -lpthread -ldl -lm

# A program built here must say so, in words, on a machine without a GPU.
cuda: rooflint-bench-cuda
	@./rooflint-bench-cuda --list >/dev/null
	@./rooflint-bench-cuda --dry-run --quick >/dev/null && \
	    echo "rooflint-bench-cuda is built; rooflint bench --device cuda:0 runs it"

install-exec-hook:
	@if test -x rooflint-bench-cuda; then \
	    $(MKDIR_P) "$(DESTDIR)$(pkglibexecdir)" && \
	    $(INSTALL_PROGRAM) rooflint-bench-cuda "$(DESTDIR)$(pkglibexecdir)"; fi
uninstall-hook:
	@rm -f "$(DESTDIR)$(pkglibexecdir)/rooflint-bench-cuda"
