# A test program tests/test_X.t is built of tests/test_X.c; list it here.
unit_tests = \
	tests/test_command.t \
	tests/test_dtype.t \
	tests/test_err.t \
	tests/test_json.t \
	tests/test_path.t \
	tests/test_table.t \
	tests/test_units.t

tests_test_command_t_SOURCES = \
	src/command.c \
	tests/test_command.c

dist_check_SCRIPTS += \
	tests/bad.sh \
	tests/cli.sh \
	tests/exports.sh \
	tests/help.sh \
	tests/layers.sh \
	tests/readme.sh

if HAVE_CRITERION
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif
TESTS += $(dist_check_SCRIPTS)

EXTRA_DIST += \
	tests/README.md \
	tests/bad \
	tests/cli \
	tests/fuzz \
	tests/golden \
	tests/layers.txt \
	tests/tap.sh \
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
