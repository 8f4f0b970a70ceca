/* The six functions on Arm's MPS2 boards: UART0, timer 0 and the two LEDs; samples are the golden
 * vectors of the export, one after the other. */
#include "../auricle_app.h"
#include "../auricle_board.h"
#include "auricle_knowledge.h"

#include <string.h>

typedef struct {
    volatile uint32_t data, state, control, interrupt, divider;
} cmsdk_uart;

typedef struct {
    volatile uint32_t control, value, reload;
} cmsdk_timer;

#define UART0 ((cmsdk_uart *)0x40004000u)
#define TIMER0 ((cmsdk_timer *)0x40000000u)
#define LEDS (*(volatile uint32_t *)0x40028000u)
#define TX_FULL 1u
#define RX_FULL 2u
#define BOTH_ON 3u
#define BAUD_DIVIDER 217u /* 115,200 at 25 MHz */
#define TICK_NS 40u

static uint32_t starts __attribute__((section(".noinit")));
static uint64_t ticks;
static uint32_t last, turn;

uint32_t board_session(void)
{
    UART0->divider = BAUD_DIVIDER;
    UART0->control = BOTH_ON;
    TIMER0->reload = 0xFFFFFFFFu;
    TIMER0->value = 0xFFFFFFFFu;
    TIMER0->control = 1;
    last = 0xFFFFFFFFu;
    /* RAM survives a reset here; a production board must use flash. */
    starts++;
    return starts ? starts : 1;
}

uint64_t board_now_ns(void)
{
    uint32_t now = TIMER0->value;
    ticks += last - now;
    last = now;
    return ticks * TICK_NS;
}

size_t board_read(uint8_t *data, size_t room)
{
    size_t count = 0;
    while (count < room && (UART0->state & RX_FULL)) {
        data[count++] = (uint8_t)UART0->data;
    }
    return count;
}

size_t board_write(const uint8_t *data, size_t length)
{
    size_t count = 0;
    while (count < length && !(UART0->state & TX_FULL)) {
        UART0->data = data[count++];
    }
    return count;
}

bool board_sample(uint8_t *features)
{
    memcpy(features, auricle_golden_features[turn], AURICLE_WIDTH);
    turn = (turn + 1) % AURICLE_GOLDEN;
    return true;
}

bool board_set(uint8_t channel, int32_t value)
{
    if (channel > 1) {
        return false;
    }
    LEDS = (LEDS & ~(1u << channel)) | (uint32_t)(value != 0) << channel;
    return true;
}

#ifdef AURICLE_FLEET_KEY
/* Models sent over the link.  RAM emulates two slots of flash; a reset does not change it. */
#include "../auricle_update.h"

#define PAGE_BYTES 1024u
#define PAGES 65u

static uint8_t slots[2][PAGES * PAGE_BYTES] __attribute__((section(".noinit"), aligned(8)));
static const uint8_t key[32] = AURICLE_FLEET_KEY;
static auricle_updater updater;
static bool try_now;

static bool erase(void *context, unsigned slot, uint32_t page)
{
    (void)context;
    memset(slots[slot] + page * PAGE_BYTES, 0xFF, PAGE_BYTES);
    return true;
}

static bool write(void *context, unsigned slot, uint32_t offset, const uint8_t *data,
                  uint32_t length)
{
    (void)context;
    memcpy(slots[slot] + offset, data, length);
    return true;
}

static void read(void *context, unsigned slot, uint32_t offset, uint8_t *data, uint32_t length)
{
    (void)context;
    memcpy(data, slots[slot] + offset, length);
}

static const auricle_flash flash = {PAGE_BYTES, PAGES, NULL, erase, write, read};

static bool update(const auricle_message *message, auricle_message *answer)
{
    bool ours = auricle_update_handle(&updater, message, answer);
    try_now = ours && updater.ready;
    return ours;
}

/* Uses the model in the chosen slot, or the exported one if no slot holds a model. */
static void try_update(void)
{
    auricle_update_start(&updater, &flash, key);
    if (updater.running != AURICLE_NO_SLOT) {
        auricle_app_open(slots[updater.running] + PAGE_BYTES, (PAGES - 1) * PAGE_BYTES);
    }
}

static void start_updates(void)
{
    try_update();
    auricle_app_extend(update);
}

static void turn_updates(void)
{
    if (try_now) {
        try_now = false;
        try_update();
    }
}
#else
static void start_updates(void)
{
}

static void turn_updates(void)
{
}
#endif

int main(void)
{
    if (auricle_app_start(auricle_knowledge, sizeof auricle_knowledge) != AURICLE_OK) {
        return 1;
    }
    start_updates();
    for (;;) {
        auricle_app_turn();
        turn_updates();
    }
}
