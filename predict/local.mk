librl_la_SOURCES += \
	predict/family.h \
	predict/graph.h \
	predict/op.h \
	predict/time.h
