# A test program tests/test_X.t is built of tests/test_X.c, nothing else.
unit_tests =

if HAVE_CRITERION
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif
