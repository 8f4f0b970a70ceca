/* The six functions on an STM32F4, without a vendor library: USART2 on PA2 and PA3, the serial port
 * of the debugger on Nucleo boards, the LED on PA5, the reset clock (16 MHz).
 *
 * Read your sensor in board_sample; as shipped it sends the golden vectors of the export. */
#include "auricle_app.h"
#include "auricle_board.h"
#include "auricle_knowledge.h"

#include <string.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define RCC_AHB1ENR REGISTER(0x40023830u)
#define RCC_APB1ENR REGISTER(0x40023840u)
#define PWR_CR REGISTER(0x40007000u)
#define RTC_BKP0R REGISTER(0x40002850u)
#define GPIOA_MODER REGISTER(0x40020000u)
#define GPIOA_BSRR REGISTER(0x40020018u)
#define GPIOA_AFRL REGISTER(0x40020020u)
#define USART2_SR REGISTER(0x40004400u)
#define USART2_DR REGISTER(0x40004404u)
#define USART2_BRR REGISTER(0x40004408u)
#define USART2_CR1 REGISTER(0x4000440Cu)
#define SYST_CSR REGISTER(0xE000E010u)
#define SYST_RVR REGISTER(0xE000E014u)
#define SYST_CVR REGISTER(0xE000E018u)

#define CLOCK_HZ 16000000u
#define BAUD 115200u
#define NS_PER_S 1000000000u
#define TICKS_MAX 0xFFFFFFu
#define RXNE (1u << 5)
#define TXE (1u << 7)
#define LED 5
#define USART2_IRQ 38u
#define NVIC_ISER1 REGISTER(0xE000E104u)
#define RING_BYTES 512u /* a power of two: bytes that arrive during a decision */
#define PERIOD_NS 50000000u

static uint64_t ticks, next_ns;
static uint32_t last, turn;
static volatile uint32_t arrived, taken;
static volatile uint8_t ring[RING_BYTES];

/* A counter in a backup register: it survives a reset and, with a battery, a power cut.  Without a
 * battery, keep it in flash or use the random generator if the chip has one. */
uint32_t board_session(void)
{
    RCC_APB1ENR |= 1u << 28; /* PWR */
    PWR_CR |= 1u << 8;       /* allow writing the backup registers */
    RTC_BKP0R = RTC_BKP0R + 1;
    return RTC_BKP0R ? RTC_BKP0R : 1;
}

static void start(void)
{
    RCC_AHB1ENR |= 1u;       /* GPIOA */
    RCC_APB1ENR |= 1u << 17; /* USART2 */
    GPIOA_MODER = (GPIOA_MODER & ~0xCF0u) | 2u << 4 | 2u << 6 | 1u << (2 * LED);
    GPIOA_AFRL = (GPIOA_AFRL & ~0xFF00u) | 7u << 8 | 7u << 12;
    USART2_BRR = (CLOCK_HZ + BAUD / 2) / BAUD;
    USART2_CR1 = 1u << 13 | 1u << 5 | 1u << 3 | 1u << 2; /* on, interrupt, send, receive */
    NVIC_ISER1 = 1u << (USART2_IRQ - 32);
    SYST_RVR = TICKS_MAX;
    SYST_CVR = 0;
    SYST_CSR = 5; /* the processor's clock, no interrupt */
    last = SYST_CVR;
}

uint64_t board_now_ns(void)
{
    uint32_t now = SYST_CVR;
    ticks += (last - now) & TICKS_MAX;
    last = now;
    return ticks * (NS_PER_S / CLOCK_HZ);
}

/* The USART holds one byte, and the next byte arrives before a decision ends. */
void on_usart2(void)
{
    if (USART2_SR & RXNE) {
        uint8_t byte = (uint8_t)USART2_DR;
        if (arrived - taken < RING_BYTES) {
            ring[arrived++ % RING_BYTES] = byte;
        }
    }
}

size_t board_read(uint8_t *data, size_t room)
{
    size_t count = 0;
    while (count < room && taken != arrived) {
        data[count++] = ring[taken++ % RING_BYTES];
    }
    return count;
}

size_t board_write(const uint8_t *data, size_t length)
{
    size_t count = 0;
    while (count < length && (USART2_SR & TXE)) {
        USART2_DR = data[count++];
    }
    return count;
}

bool board_sample(uint8_t *features)
{
    if (board_now_ns() < next_ns) {
        return false;
    }
    next_ns = board_now_ns() + PERIOD_NS;
    memcpy(features, auricle_golden_features[turn], AURICLE_WIDTH);
    turn = (turn + 1) % AURICLE_GOLDEN;
    return true;
}

bool board_set(uint8_t channel, int32_t value)
{
    if (channel != 0) {
        return false;
    }
    GPIOA_BSRR = value ? 1u << LED : 1u << (LED + 16);
    return true;
}

int main(void)
{
    start();
    if (auricle_app_start(auricle_knowledge, sizeof auricle_knowledge) != AURICLE_OK) {
        return 1;
    }
    for (;;) {
        auricle_app_turn();
    }
}
