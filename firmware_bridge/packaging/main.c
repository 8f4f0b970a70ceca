/* Tests the golden vectors of an export on a board; prints the result, and returns 0 if all agree. */
#include <stdio.h>

#if __has_include("auricle_knowledge.h")
#include "auricle_knowledge.h"
#endif
#if __has_include("auricle_forecaster.h")
#include "auricle_forecaster.h"
#endif

int auricle_golden_test(void);
int auricle_forecaster_test(void);

int main(void)
{
    int wrong = 0;
#ifdef AURICLE_GOLDEN
    wrong |= auricle_golden_test();
#endif
#ifdef AURICLE_FORECASTER_GOLDEN
    wrong |= auricle_forecaster_test();
#endif
    printf(wrong ? "auricle: golden vectors differ\n" : "auricle: all golden vectors agree\n");
    return wrong != 0;
}
