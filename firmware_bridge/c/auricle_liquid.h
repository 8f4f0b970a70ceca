/* The liquid forecaster: one step of a closed-form continuous-time cell, in integers.
 *
 * C99, no malloc, no float.  Weights have 8 bits, the state 16, and every number equals what
 * firmware_bridge/liquid.py computes, bit for bit.  docs/howto/firmware.md holds the arithmetic.
 */
#ifndef AURICLE_LIQUID_H
#define AURICLE_LIQUID_H

#include <stdint.h>

#define AURICLE_INPUT_ONE 2048  /* 1 in inputs */
#define AURICLE_STATE_ONE 32768 /* 1 in states */
#define AURICLE_AHEAD_ONE 4096  /* 1 in forecasts */

/* A network written by `auricle export-c --forecaster`. */
typedef struct {
    uint32_t inputs, units, horizons;
    const int8_t *weights;       /* [3 units][inputs + units]: first head, second, half the gate */
    const int32_t *bias, *gain;  /* [3 units] */
    const int8_t *readout;       /* [horizons][units] */
    const int32_t *readout_bias; /* [horizons] */
    const int32_t *readout_gain; /* [horizons] */
    const uint16_t *ahead;       /* [horizons], steps ahead */
} auricle_liquid;

/* Steps one channel.
 *
 * state: [units], all 0 at the start.  inputs: [inputs].  work: [units], may be shared by channels.
 * forecasts: [horizons], the movement of the channel in units of its mean movement per step times
 * the root of the steps ahead. */
void auricle_liquid_step(const auricle_liquid *net, int16_t *state, const int16_t *inputs,
                         int16_t *work, int32_t *forecasts);

#endif
