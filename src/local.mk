librl_la_SOURCES += \
	src/command.h \
	src/device.c \
	src/device.h \
	src/device_check.c \
	src/device_fill.c \
	src/device_rows.c \
	src/device_rows.h \
	src/dtype.c \
	src/dtype.h \
	src/err.c \
	src/err.h \
	src/ggmltype.c \
	src/gguf.c \
	src/gguf.h \
	src/ggufarch.c \
	src/ggufconfig.c \
	src/ggufload.c \
	src/ggufmap.h \
	src/ggufssm.c \
	src/hwdb_check.c \
	src/json.c \
	src/json.h \
	src/kernel.c \
	src/kernel.h \
	src/kernel_out.c \
	src/kernel_out.h \
	src/measured.c \
	src/measured.h \
	src/model.c \
	src/model.h \
	src/modelcfg.c \
	src/modelcfg.h \
	src/modelcheck.c \
	src/names.c \
	src/nearest.c \
	src/path.c \
	src/path.h \
	src/quantcfg.c \
	src/quantcfg.h \
	src/rooflint.h \
	src/runtime.c \
	src/runtime.h \
	src/table.c \
	src/table.h \
	src/units.c \
	src/units.h

bin_PROGRAMS += rooflint
rooflint_LDADD = librl.la
rooflint_SOURCES = \
	src/bench_entry.c \
	src/bench_entry.h \
	src/cli.h \
	src/cmd_bench.c \
	src/cmd_calibrate.c \
	src/cmd_device.c \
	src/cmd_hw.c \
	src/cmd_list.c \
	src/cmd_op.c \
	src/cmd_op.h \
	src/cmd_op_file.c \
	src/cmd_model.c \
	src/cmd_predict.c \
	src/cmd_validate.c \
	src/command.c \
	src/help.c \
	src/judge_runs.c \
	src/judged.h \
	src/main.c \
	src/session.c \
	src/session.h \
	src/show.h \
	src/show_csv.c \
	src/show_json.c \
	src/show_text.c
