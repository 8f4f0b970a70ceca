/* Linear scores of bytes: heads and routers.  Floats: 16 sums run side by side and are added in one
 * order, so that every instruction set finds the same numbers.  BLAS, which numpy asks, adds in
 * another order: its last digits differ. */
#define LINEAR_SUMS 16

static float linear_product(const float *row, const float *levels, int64_t width)
{
    float sums[LINEAR_SUMS] = {0};
    int64_t at = 0;
    for (; at + LINEAR_SUMS <= width; at += LINEAR_SUMS) {
        for (int k = 0; k < LINEAR_SUMS; k++) {
            sums[k] += row[at + k] * levels[at + k];
        }
    }
    for (int k = 0; at < width; at++, k++) {
        sums[k] += row[at] * levels[at];
    }
    for (int half = LINEAR_SUMS / 2; half; half /= 2) {
        for (int k = 0; k < half; k++) {
            sums[k] += sums[k + half];
        }
    }
    return sums[0];
}

/* made[i] = bias[i] + weights[i] . table[features]; work: a float for each feature. */
static void linear(const uint8_t *features, const float *table, const float *weights,
                   const float *bias, int64_t width, int64_t rows, float *made, float *work)
{
    for (int64_t at = 0; at < width; at++) {
        work[at] = table[features[at]];
    }
    for (int64_t row = 0; row < rows; row++) {
        made[row] = linear_product(weights + row * width, work, width) + bias[row];
    }
}
