/* `footprint_main.c` without the link. */
#include "auricle_detector.h"

#ifndef OPEN
#define OPEN auricle_open
#endif
#define WIDTH 64
#define WORK_WORDS 80

extern const uint32_t knowledge[];
extern uint32_t knowledge_bytes;
extern uint32_t hypervector[];

static auricle_extract extract;
static auricle_decision decision;
static uint8_t features[WIDTH];
static uint32_t work[WORK_WORDS];
volatile uint32_t sink;

int main(void)
{
    sink = (uint32_t)OPEN(&extract, knowledge, knowledge_bytes);
    for (;;) {
        auricle_decide(&extract, features, hypervector, work, &decision);
        sink = decision.answer;
    }
}
