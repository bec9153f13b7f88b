librl_la_SOURCES += \
	predict/breakdown.c \
	predict/breakdown.h \
	predict/choose.c \
	predict/family.h \
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
	predict/time.h
