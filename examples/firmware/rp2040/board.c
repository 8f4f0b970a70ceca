/* The six functions on an RP2040 with the Pico SDK: UART0 on pins 0 and 1, the LED of a Pico.
 *
 * Read your sensor in board_sample; as shipped it sends the golden vectors of the export. */
#include "auricle_app.h"
#include "auricle_board.h"
#include "auricle_knowledge.h"

#include "hardware/gpio.h"
#include "hardware/uart.h"
#include "pico/rand.h"
#include "pico/stdlib.h"

#include <string.h>

#define BAUD 115200
#define TX_PIN 0
#define RX_PIN 1
#define NS_PER_US 1000u
#define PERIOD_NS 50000000u

static uint64_t next_ns;
static uint32_t turn;

uint32_t board_session(void)
{
    uint32_t session = get_rand_32();
    return session ? session : 1;
}

uint64_t board_now_ns(void)
{
    return time_us_64() * NS_PER_US;
}

size_t board_read(uint8_t *data, size_t room)
{
    size_t count = 0;
    while (count < room && uart_is_readable(uart0)) {
        data[count++] = (uint8_t)uart_getc(uart0);
    }
    return count;
}

size_t board_write(const uint8_t *data, size_t length)
{
    size_t count = 0;
    while (count < length && uart_is_writable(uart0)) {
        uart_putc_raw(uart0, (char)data[count++]);
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
    gpio_put(PICO_DEFAULT_LED_PIN, value != 0);
    return true;
}

int main(void)
{
    uart_init(uart0, BAUD);
    gpio_set_function(TX_PIN, GPIO_FUNC_UART);
    gpio_set_function(RX_PIN, GPIO_FUNC_UART);
    gpio_init(PICO_DEFAULT_LED_PIN);
    gpio_set_dir(PICO_DEFAULT_LED_PIN, GPIO_OUT);
    if (auricle_app_start(auricle_knowledge, sizeof auricle_knowledge) != AURICLE_OK) {
        return 1;
    }
    for (;;) {
        auricle_app_turn();
    }
}
