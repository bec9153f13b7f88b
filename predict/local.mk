librl_la_SOURCES += \
	predict/breakdown.c \
	predict/breakdown.h \
	predict/build.c \
	predict/build.h \
	predict/build_attn.c \
	predict/build_cfg.c \
	predict/build_linear.c \
	predict/build_mlp.c \
	predict/build_ssm.c \
	predict/choose.c \
	predict/family.c \
	predict/family.h \
	predict/family_llama.c \
	predict/graph.c \
	predict/graph.h \
	predict/memory.c \
	predict/memory.h \
	predict/op.h \
	predict/plan.c \
	predict/plan.h \
	predict/predict.c \
	predict/schedule.c \
	predict/schedule.h \
	predict/time.c \
	predict/time.h \
	predict/vision.c \
	predict/vision.h
