/* Libraries found at run time are those of emu_libs.cc. */
#include "emu.h"

#define RTLD_NOW   2
#define RTLD_LOCAL 0
#define dlopen     emu_dlopen
#define dlsym      emu_dlsym
#define dlclose    emu_dlclose
