/* Checks an export on a PC: `cc *.c && ./a.out` in its folder decides on the golden vectors and
 * prints how many agree; exit status 0 if all do.  Without an operating system this file is
 * empty, so firmware keeps its own main; -DAURICLE_CHECK_MAIN makes it the program
 * of a test board. */
#if defined(__unix__) || defined(__APPLE__) || defined(_WIN32) || defined(AURICLE_CHECK_MAIN)

#include <stdio.h>

#if __has_include("auricle_knowledge.h")
#include "auricle_knowledge.h"
#endif
#if __has_include("auricle_forecaster.h")
#include "auricle_forecaster.h"
#endif

int auricle_golden_test(void);
int auricle_forecaster_test(void);
int main(void);

/* Prints one result; returns 0 if nothing differs. */
static int report(const char *what, int wrong, int all)
{
    if (wrong < 0) {
        printf("%s: the extract does not open\n", what);
    } else {
        printf("%s: %d of %d golden vectors agree\n", what, all - wrong, all);
    }
    return wrong != 0;
}

int main(void)
{
    int failed = 0;
#ifdef AURICLE_GOLDEN
    failed |= report("knowledge", auricle_golden_test(), AURICLE_GOLDEN);
#endif
#ifdef AURICLE_FORECASTER_GOLDEN
    failed |= report("forecaster", auricle_forecaster_test(), AURICLE_FORECASTER_GOLDEN);
#endif
    return failed;
}

#endif
