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
    /* Kept in RAM over a reset; a board that is sold keeps it in flash. */
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

int main(void)
{
    if (auricle_app_start(auricle_knowledge, sizeof auricle_knowledge) != AURICLE_OK) {
        return 1;
    }
    for (;;) {
        auricle_app_turn();
    }
}
