/* Counts the instructions of a forecaster's step on the emulated board, over its golden vectors.
 *
 * Under QEMU's -icount shift=0 SysTick counts 40 instructions a tick, as in speed_main.c.  Writes
 * forecaster.bin: instructions of all steps, number of steps, and number that differ.
 */
#include "auricle_forecaster.h"
#include "port.h"

#define PER_TICK 40u
#define TICKS_MAX 0xFFFFFFu
#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)

int auricle_forecaster_test(void);

int main(void)
{
    static int16_t state[AURICLE_FORECASTER_UNITS], work[AURICLE_FORECASTER_UNITS];
    static int32_t forecasts[AURICLE_FORECASTER_HORIZONS];
    uint32_t figures[3] = {0, AURICLE_FORECASTER_GOLDEN, 0};
    SYST_RVR = TICKS_MAX;
    SYST_CVR = 0;
    SYST_CSR = 5;
    for (uint32_t n = 0; n < AURICLE_FORECASTER_GOLDEN; n++) {
        uint32_t started = SYST_CVR;
        auricle_liquid_step(&auricle_forecaster, state, auricle_forecaster_golden_inputs[n], work,
                            forecasts);
        figures[0] += ((started - SYST_CVR) & TICKS_MAX) * PER_TICK;
    }
    figures[2] = (uint32_t)auricle_forecaster_test();
    int out = port_open("forecaster.bin", 1);
    port_write(out, figures, sizeof figures);
    port_close(out);
    return 0;
}
