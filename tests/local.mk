# A test program tests/test_X.t is built of tests/test_X.c; list it here.
unit_tests = \
	tests/test_calibrate.t \
	tests/test_choose.t \
	tests/test_command.t \
	tests/test_device.t \
	tests/test_dtype.t \
	tests/test_err.t \
	tests/test_gemm_deep.t \
	tests/test_ggml.t \
	tests/test_ggml_experts.t \
	tests/test_gguf.t \
	tests/test_gguf_archs.t \
	tests/test_graph.t \
	tests/test_grid.t \
	tests/test_predict.t \
	tests/test_harness.t \
	tests/test_interval.t \
	tests/test_json.t \
	tests/test_kern_scan.t \
	tests/test_kernel.t \
	tests/test_kern_attention.t \
	tests/test_kern_gemm.t \
	tests/test_kern_gemm_cublas.t \
	tests/test_kern_gemm_tables.t \
	tests/test_kern_gemm_vector.t \
	tests/test_kern_moe_comm.t \
	tests/test_labels.t \
	tests/test_model.t \
	tests/test_modelcfg.t \
	tests/test_op_attention.t \
	tests/test_op_gemm.t \
	tests/test_op_other.t \
	tests/test_op_parse.t \
	tests/test_op_property.t \
	tests/test_op_scan.t \
	tests/test_params.t \
	tests/test_path.t \
	tests/test_rows_attention.t \
	tests/test_rows_gemm.t \
	tests/test_rows_moe_scan.t \
	tests/test_stack.t \
	tests/test_state.t \
	tests/test_table.t \
	tests/test_units.t

tests_test_command_t_SOURCES = \
	src/command.c \
	tests/test_command.c

tests_test_labels_t_SOURCES = \
	src/plot_labels.c \
	src/plot_labels.h \
	tests/test_labels.c

tests_test_harness_t_LDADD = libmb.la $(LDADD)
tests_test_gguf_t_SOURCES = \
	tests/gguf_file.h \
	tests/test_gguf.c
tests_test_gguf_archs_t_SOURCES = \
	tests/gguf_file.h \
	tests/test_gguf_archs.c

dist_check_SCRIPTS += \
	tests/bad.sh \
	tests/cli.sh \
	tests/completion.sh \
	tests/exports.sh \
	tests/fuzz.sh \
	tests/gallery.sh \
	tests/gpu.sh \
	tests/harness.sh \
	tests/help.sh \
	tests/layers.sh \
	tests/plot.sh \
	tests/readme.sh

EXTRA_PROGRAMS += tests/bench_command tests/bench_predict
tests_bench_predict_LDADD = librl.la

bench: rooflint$(EXEEXT) tests/bench_command$(EXEEXT) tests/bench_predict$(EXEEXT)
	@./tests/bench_command ./rooflint $(srcdir)
	@./tests/bench_predict $(srcdir)

if HAVE_CRITERION
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif
TESTS += $(dist_check_SCRIPTS)

# The GPU program on an emulated device: its sources as C++, <<<…>>> rewritten.
# Not under sanitizers, which do not follow the jumps between stacks.
emu_sources = \
	tests/cuda/check.cc \
	tests/cuda/emu.cc \
	tests/cuda/emu_libs.cc
emu_headers = \
	tests/cuda/cublasLt.h \
	tests/cuda/cuda_bf16.h \
	tests/cuda/cuda_fp16.h \
	tests/cuda/cuda_runtime.h \
	tests/cuda/dlfcn.h \
	tests/cuda/emu.h \
	tests/cuda/mma.h \
	tests/cuda/ptx.h
emu_objects = $(cuda_sources:.cu=.emu.o) tests/cuda/emu.emu.o tests/cuda/emu_libs.emu.o
EMU_CXXFLAGS = -std=c++17 -O2 -fno-strict-aliasing -U_FORTIFY_SOURCE -Wno-unknown-pragmas
EMU_COMPILE = $(CXX) $(EMU_CXXFLAGS) -D_GNU_SOURCE -I$(srcdir)/tests/cuda \
	-I$(srcdir)/microbench/cuda -I$(srcdir)/src -c -o $@

EXTRA_DIST += $(emu_sources) $(emu_headers)
CLEANFILES += $(emu_objects) $(emu_objects:=.cc) tests/cuda/check.emu.o \
	rooflint-bench-emu tests/cuda/check

SUFFIXES += .emu.o .cc
.cu.emu.o:
	@$(MKDIR_P) $(@D)
	$(AM_V_GEN)$(SED) -e 's/<<</->*emu::cfg(/g; s/>>>/)/g' \
	    -e 's/extern __shared__ \(__align__([0-9]*) \)\{0,1\}\(.*\) \([a-z]*\)\[\];/\2 *\3 = (\2 *)emu::shared();/' \
	    $< >$@.cc && $(EMU_COMPILE) $@.cc
.cc.emu.o:
	@$(MKDIR_P) $(@D)
	$(AM_V_GEN)$(EMU_COMPILE) $<
$(emu_objects) tests/cuda/check.emu.o: $(emu_headers) $(cuda_headers) microbench/harness.h

emu_link = $(CXX) $(RL_LDFLAGS) -o $@ $(emu_objects)
tests/cuda/check: $(emu_objects) tests/cuda/check.emu.o libmb.la
	$(AM_V_GEN)$(emu_link) tests/cuda/check.emu.o .libs/libmb.a $(CSV_LIBS) -lpthread -lm
rooflint-bench-emu: $(emu_objects) libmb.la
	$(AM_V_GEN)$(emu_link) .libs/libmb.a $(CSV_LIBS) -lpthread -lm

if HAVE_CXX
check_DATA = tests/cuda/check rooflint-bench-emu
endif

EXTRA_DIST += \
	tests/README.md \
	tests/bad \
	tests/cli \
	tests/data \
	tests/consumer.c \
	tests/fuzz/config.dict \
	tests/fuzz/corpus \
	tests/fuzz/csv.dict \
	tests/fuzz/device.dict \
	tests/fuzz/gguf.dict \
	tests/golden \
	tests/layers.txt \
	tests/reproduce \
	tests/tap.sh \
	tests/gemm_test.h \
	tests/op_test.h \
	tests/rows_test.h \
	tests/subject.h \
	tests/test.h

# Every test speaks TAP: unit tests through a wrapper that knows Criterion.
TEST_EXTENSIONS = .sh .t
TAP_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
SH_LOG_DRIVER = $(TAP_DRIVER)
SH_LOG_COMPILER = $(SHELL)
T_LOG_DRIVER = $(TAP_DRIVER)
T_LOG_COMPILER = $(SHELL) $(top_srcdir)/build-aux/test-criterion
AM_TESTS_ENVIRONMENT = \
	top_srcdir='$(abs_top_srcdir)'; export top_srcdir; \
	top_builddir='$(abs_top_builddir)'; export top_builddir; \
	ROOFLINT_DATA='$(abs_top_srcdir)'; export ROOFLINT_DATA; \
	LC_ALL=C; export LC_ALL;

# Fuzz targets: libFuzzer's with --enable-fuzzing, else replayers of the corpus.
fuzz_targets = \
	tests/fuzz/config.fuzz \
	tests/fuzz/csv.fuzz \
	tests/fuzz/device.fuzz \
	tests/fuzz/gguf.fuzz
check_PROGRAMS += $(fuzz_targets)

if FUZZING
fuzz_main =
fuzz_link = $(AM_LDFLAGS) -fsanitize=fuzzer
else
fuzz_main = tests/fuzz/replay.c
fuzz_link = $(AM_LDFLAGS)
endif

tests_fuzz_config_fuzz_LDADD = librl.la
tests_fuzz_config_fuzz_LDFLAGS = $(fuzz_link)
tests_fuzz_config_fuzz_SOURCES = tests/fuzz/config.c tests/fuzz/fuzz.h $(fuzz_main)
tests_fuzz_csv_fuzz_LDADD = librl.la
tests_fuzz_csv_fuzz_LDFLAGS = $(fuzz_link)
tests_fuzz_csv_fuzz_SOURCES = tests/fuzz/csv.c tests/fuzz/fuzz.h $(fuzz_main)
tests_fuzz_device_fuzz_LDADD = librl.la
tests_fuzz_device_fuzz_LDFLAGS = $(fuzz_link)
tests_fuzz_device_fuzz_SOURCES = tests/fuzz/device.c tests/fuzz/fuzz.h $(fuzz_main)
tests_fuzz_gguf_fuzz_LDADD = librl.la
tests_fuzz_gguf_fuzz_LDFLAGS = $(fuzz_link)
tests_fuzz_gguf_fuzz_SOURCES = tests/fuzz/fuzz.h tests/fuzz/gguf.c $(fuzz_main)

FUZZ_SECONDS = 60
fuzz: $(fuzz_targets)
	@for t in config csv device gguf; do \
	    $(MKDIR_P) fuzz-$$t || exit 1; \
	    case $$t in config) more=$(srcdir)/models ;; *) more= ;; esac; \
	    tests/fuzz/$$t.fuzz -max_total_time=$(FUZZ_SECONDS) -max_len=65536 \
	        -dict=$(srcdir)/tests/fuzz/$$t.dict -print_final_stats=1 \
	        fuzz-$$t $(srcdir)/tests/fuzz/corpus/$$t $$more || exit 1; \
	done
.PHONY: fuzz
