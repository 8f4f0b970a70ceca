/* Vectors and start of a Cortex-M4F. */
#include <stdint.h>

extern uint32_t _estack, _sidata, _sdata, _edata, _sbss, _ebss;
int main(void);
void on_usart2(void);

static void stop(void)
{
    for (;;) {
    }
}

static void reset(void)
{
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: allow the floating-point unit */
    for (uint32_t *from = &_sidata, *to = &_sdata; to < &_edata;) {
        *to++ = *from++;
    }
    for (uint32_t *to = &_sbss; to < &_ebss;) {
        *to++ = 0;
    }
    main();
    stop();
}

#define USART2 (16 + 38)

extern void (*const vectors[USART2 + 1])(void);

__attribute__((section(".vectors"), used)) void (*const vectors[USART2 + 1])(void) = {
    (void (*)(void))&_estack, reset, stop, stop, stop, stop, stop,
    0, 0, 0, 0, stop, stop, 0, stop, stop, [USART2] = on_usart2,
};
