/* Uses all of the link and the detector, so the linker keeps the code that firmware needs.  The
 * knowledge is stored elsewhere; work, features and link are the RAM needed for 64 features. */
#include "auricle_detector.h"
#include "auricle_link.h"

#ifndef FEATURES
#define FEATURES 64
#define WORK_WORDS 80 /* 64 features: the projection takes 34, the plane up to 65 */
#endif

extern const uint32_t knowledge[];
extern uint32_t knowledge_bytes;
extern uint32_t hypervector[];

static auricle_extract extract;
static auricle_decision decision;
static auricle_link wire;
static uint8_t features[FEATURES], frame[AURICLE_WIRE_BYTES_MAX];
static uint32_t work[WORK_WORDS];
volatile uint32_t sink;

static void handle(void *context, const auricle_event *event)
{
    (void)context;
    sink = event->kind;
}

int main(void)
{
    auricle_message message = {.id = AURICLE_READING};
    sink = (uint32_t)auricle_open(&extract, knowledge, knowledge_bytes);
    auricle_link_start(&wire, 1, handle, 0);
    for (;;) {
        auricle_decide(&extract, features, hypervector, work, &decision);
        auricle_link_pause(&wire);
        auricle_link_resume(&wire, 0);
        message.as.reading.values.data = features;
        message.as.reading.values.length = FEATURES;
        sink = auricle_link_send(&wire, &message) + auricle_link_idle(&wire);
        auricle_link_receive(&wire, features, FEATURES, 0);
        sink = auricle_link_transmit(&wire, auricle_link_wake_at(&wire, 0), frame);
    }
}
