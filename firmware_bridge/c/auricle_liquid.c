/* A step: two heads f1 and f2, a gate s, h' = f1 + s (f2 - f1), and a readout. */
#include "auricle_liquid.h"

#include <string.h>

#define INPUT_STEPS (AURICLE_STATE_ONE / AURICLE_INPUT_ONE)
#define TABLE_LAST 32767u /* tanh is tabulated up to 8, in steps of 1/32; it is 1 there */

/* tanh(k / 32) in Q15. */
static const int16_t tanh_table[257] = {
    0, 1024, 2045, 3063, 4075, 5079, 6073, 7056, 8025, 8980, 9919, 10840,
    11742, 12625, 13486, 14325, 15142, 15936, 16706, 17451, 18173, 18869, 19541, 20189,
    20812, 21411, 21986, 22537, 23065, 23570, 24053, 24515, 24955, 25375, 25775, 26156,
    26518, 26863, 27190, 27501, 27796, 28075, 28340, 28592, 28829, 29054, 29267, 29469,
    29659, 29839, 30009, 30169, 30321, 30464, 30599, 30726, 30846, 30959, 31066, 31166,
    31261, 31350, 31435, 31514, 31588, 31658, 31725, 31787, 31845, 31900, 31952, 32001,
    32047, 32090, 32131, 32169, 32205, 32239, 32270, 32300, 32328, 32355, 32380, 32403,
    32425, 32446, 32465, 32483, 32500, 32516, 32531, 32546, 32559, 32572, 32583, 32595,
    32605, 32615, 32624, 32633, 32641, 32648, 32656, 32662, 32669, 32675, 32680, 32685,
    32690, 32695, 32699, 32703, 32707, 32711, 32714, 32717, 32720, 32723, 32726, 32728,
    32731, 32733, 32735, 32737, 32739, 32740, 32742, 32744, 32745, 32746, 32748, 32749,
    32750, 32751, 32752, 32753, 32754, 32754, 32755, 32756, 32757, 32757, 32758, 32758,
    32759, 32759, 32760, 32760, 32761, 32761, 32761, 32762, 32762, 32762, 32763, 32763,
    32763, 32763, 32764, 32764, 32764, 32764, 32764, 32765, 32765, 32765, 32765, 32765,
    32765, 32765, 32765, 32766, 32766, 32766, 32766, 32766, 32766, 32766, 32766, 32766,
    32766, 32766, 32766, 32766, 32766, 32766, 32766, 32766, 32766, 32767, 32767, 32767,
    32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767,
    32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767,
    32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767,
    32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767,
    32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767,
    32767, 32767, 32767, 32767, 32767,
};

/* Sums of a unit's two heads and gate, at a distance of `apart`; each value is loaded once. */
static void sum_heads(const int8_t *row, uint32_t apart, const int16_t *values, uint32_t count,
                      int32_t sums[3])
{
    const int8_t *second = row + apart, *gate = second + apart;
    int32_t a = 0, b = 0, c = 0;
    for (uint32_t at = 0; at < count; at++) {
        int32_t value = values[at];
        a += row[at] * value;
        b += second[at] * value;
        c += gate[at] * value;
    }
    sums[0] += a, sums[1] += b, sums[2] += c;
}

/* Scales a sum by the gain of its row, to Q12. */
static int32_t scaled(int32_t sum, int32_t gain)
{
    int64_t made = ((int64_t)sum * gain + (1 << 30)) >> 31;
    return made > INT32_MAX ? INT32_MAX : made < INT32_MIN ? INT32_MIN : (int32_t)made;
}

/* tanh: Q12 in, Q15 out. */
static int32_t squashed(int32_t value)
{
    uint32_t size = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
    if (size > TABLE_LAST) {
        size = TABLE_LAST;
    }
    const int16_t *at = tanh_table + (size >> 7);
    int32_t made = at[0] + (((at[1] - at[0]) * (int32_t)(size & 127u) + 64) >> 7);
    return value < 0 ? -made : made;
}

void auricle_liquid_step(const auricle_liquid *net, int16_t *state, const int16_t *inputs,
                         int16_t *work, int32_t *forecasts)
{
    uint32_t width = net->inputs + net->units, apart = net->units * width;
    for (uint32_t unit = 0; unit < net->units; unit++) {
        const int8_t *row = net->weights + unit * width;
        int32_t heads[3] = {0, 0, 0};
        sum_heads(row, apart, inputs, net->inputs, heads);
        for (uint32_t head = 0; head < 3; head++) {
            heads[head] = heads[head] * INPUT_STEPS + net->bias[head * net->units + unit];
        }
        sum_heads(row + net->inputs, apart, state, net->units, heads);
        for (uint32_t head = 0; head < 3; head++) {
            heads[head] = squashed(scaled(heads[head], net->gain[head * net->units + unit]));
        }
        int32_t share = (AURICLE_STATE_ONE + heads[2]) >> 1;
        int32_t mixed = (heads[1] - heads[0]) * share + (1 << 14);
        work[unit] = (int16_t)(heads[0] + (mixed >> 15));
    }
    memcpy(state, work, net->units * sizeof *state);
    for (uint32_t row = 0; row < net->horizons; row++) {
        const int8_t *weights = net->readout + row * net->units;
        int32_t sum = net->readout_bias[row];
        for (uint32_t unit = 0; unit < net->units; unit++) {
            sum += weights[unit] * state[unit];
        }
        forecasts[row] = scaled(sum, net->readout_gain[row]);
    }
}
