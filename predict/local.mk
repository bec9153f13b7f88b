librl_la_SOURCES += \
	predict/choose.c \
	predict/family.h \
	predict/graph.h \
	predict/op.h \
	predict/time.c \
	predict/time.h
