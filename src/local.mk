librl_la_SOURCES += \
	src/command.h \
	src/device.h \
	src/dtype.h \
	src/err.h \
	src/json.h \
	src/kernel.c \
	src/kernel.h \
	src/model.h \
	src/modelcfg.h \
	src/names.c \
	src/path.h \
	src/rooflint.h \
	src/runtime.h \
	src/table.h \
	src/units.h

bin_PROGRAMS += rooflint
rooflint_LDADD = librl.la
rooflint_SOURCES = \
	src/cmd_list.c \
	src/main.c
