/* Runs a fuzz target over the files named as arguments; TAP on stdout. */
#include "fuzz.h"

#include <stdio.h>

static int replay(const char *path)
{
    static uint8_t buf[1 << 22];
    FILE *f = fopen(path, "rb");
    size_t n;

    if (!f)
        return -1;
    n = fread(buf, 1, sizeof buf, f);
    fclose(f);
    return LLVMFuzzerTestOneInput(buf, n);
}

int main(int argc, char **argv)
{
    printf("1..%d\n", argc - 1);
    for (int i = 1; i < argc; i++) {
        fflush(stdout); /* a crash must not take earlier results along */
        printf("%s %d - %s\n", replay(argv[i]) == 0 ? "ok" : "not ok", i, argv[i]);
    }
    return 0;
}
