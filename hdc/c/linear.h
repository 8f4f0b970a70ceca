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

#define WHOLE_MAX 32767    /* a row's numbers are rounded to so many steps either way */
#define LANDMARKS_BLOCK 64 /* landmarks whose products are held at a time */

/* Squared distances of a row to landmarks of bytes, below 0: made[i] is
 * min(0, 2 (row * step . codes[i] - row . shift - row . row / 2) - lengths[i]).  row * step is
 * rounded to whole numbers of 16 bits, so that the products with bytes are exact.
 * work: 4 bytes for each column. */
static void landmark_distances(const landmarks *held, const float *row, float *made, uint8_t *work)
{
    int64_t width = held->width;
    uint16_t *wholes = (uint16_t *)work;
    int64_t products[LANDMARKS_BLOCK];
    float largest = 0, factor;
    for (int64_t at = 0; at < width; at++) {
        float scaled = row[at] * held->step[at], size = scaled < 0 ? -scaled : scaled;
        largest = size > largest ? size : largest;
    }
    largest = largest ? largest : 1;
    factor = (float)(WHOLE_MAX / (double)largest);
    for (int64_t at = 0; at < width; at++) {
        wholes[at] = (uint16_t)(rintf(row[at] * held->step[at] * factor) + WHOLE_MAX);
    }
    float shared = linear_product(row, held->shift, width)
        + 0.5f * linear_product(row, row, width);
    double unit = (double)largest / WHOLE_MAX;
    for (int64_t from = 0; from < held->count; from += LANDMARKS_BLOCK) {
        int64_t left = held->count - from, number = left < LANDMARKS_BLOCK ? left : LANDMARKS_BLOCK;
        whole_products(held->codes + from * width, wholes, number, width, products, work + 2 * width);
        for (int64_t at = 0; at < number; at++) {
            int64_t signed_product = products[at] - (int64_t)held->sums[from + at] * WHOLE_MAX;
            float apart = 2 * ((float)(signed_product * unit) - shared) - held->lengths[from + at];
            made[from + at] = apart < 0 ? apart : 0;
        }
    }
}
