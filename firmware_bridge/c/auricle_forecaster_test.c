/* Steps an exported forecaster through its golden vectors and counts the steps that differ. */
#include "auricle_forecaster.h"

/* Returns the number of steps that differ from the golden vectors. */
int auricle_forecaster_test(void)
{
    static int16_t state[AURICLE_FORECASTER_UNITS], work[AURICLE_FORECASTER_UNITS];
    int32_t forecasts[AURICLE_FORECASTER_HORIZONS];
    int wrong = 0;
    for (int n = 0; n < AURICLE_FORECASTER_GOLDEN; n++) {
        const int32_t *expected = auricle_forecaster_golden_expected[n];
        int differs = 0;
        auricle_liquid_step(&auricle_forecaster, state, auricle_forecaster_golden_inputs[n], work,
                            forecasts);
        for (int unit = 0; unit < AURICLE_FORECASTER_UNITS; unit++) {
            differs |= state[unit] != expected[unit];
        }
        for (int row = 0; row < AURICLE_FORECASTER_HORIZONS; row++) {
            differs |= forecasts[row] != expected[AURICLE_FORECASTER_UNITS + row];
        }
        wrong += differs;
    }
    return wrong;
}
