/* One instruction set of the scaling: the flags of the compiler choose it, AURICLE_LEVEL names it.
 *
 * Across first, then down, each rounded to bytes, with weights of 22 bits after the point: so does
 * Pillow (Resample.c, ImagingResampleHorizontal_8bpc and ImagingResampleVertical_8bpc), and the
 * bytes are the same. */
#include "resize.h"

#include <string.h>

#define POINT 22
#define HALF (1 << (POINT - 1))

#define JOINED(a, b) a##b
#define NAMED(a, b) JOINED(a, b)

/* A pixel, and the number behind it, which is not used. */
typedef int32_t lanes __attribute__((vector_size(16)));

static inline uint8_t clipped(int32_t sum)
{
    sum >>= POINT;
    sum = sum < 0 ? 0 : sum;
    return (uint8_t)(sum > 255 ? 255 : sum);
}

static inline void widen(const uint8_t *row, int32_t *wide, int64_t length)
{
#pragma omp simd
    for (int64_t x = 0; x < length; x++) {
        wide[x] = row[x];
    }
}

static inline void narrow(const int32_t *sums, uint8_t *made, int64_t length)
{
#pragma omp simd
    for (int64_t x = 0; x < length; x++) {
        made[x] = clipped(sums[x]);
    }
}

/* Sums across in `count` rows of numbers, TOGETHER or one.  A sum writes one number too many, which
 * the next one overwrites. */
static inline __attribute__((always_inline)) void
scale_across(const picture_axis *across, const int32_t *wide, int64_t wide_stride, int32_t *sums,
             int64_t sums_stride, int count)
{
    for (int64_t i = 0; i < across->size; i++) {
        const int32_t *weights = across->weights + i * across->most;
        const int32_t *from = wide + BANDS * across->bounds[2 * i];
        int64_t taps = across->bounds[2 * i + 1];
        lanes sum[TOGETHER];
        for (int row = 0; row < count; row++) {
            sum[row] = (lanes){HALF, HALF, HALF, HALF};
        }
        for (int64_t k = 0; k < taps; k++, from += BANDS) {
            for (int row = 0; row < count; row++) {
                lanes pixel;
                memcpy(&pixel, from + row * wide_stride, sizeof pixel);
                sum[row] += pixel * weights[k];
            }
        }
        for (int row = 0; row < count; row++) {
            memcpy(sums + row * sums_stride + BANDS * i, &sum[row], sizeof sum[row]);
        }
    }
}

static void scale_down(const picture_scaling *s, const uint8_t *rows, int32_t *sums)
{
    int64_t length = BANDS * s->across.size, top = s->down.bounds[0];
    for (int64_t i = 0; i < s->down.size; i++) {
        const int32_t *weights = s->down.weights + i * s->down.most;
        const uint8_t *row = rows + length * (s->down.bounds[2 * i] - top);
        for (int64_t x = 0; x < length; x++) {
            sums[x] = HALF;
        }
        for (int64_t k = 0; k < s->down.bounds[2 * i + 1]; k++, row += length) {
            int32_t weight = weights[k];
#pragma omp simd
            for (int64_t x = 0; x < length; x++) {
                sums[x] += weight * row[x];
            }
        }
        uint8_t *made = s->made + length * i;
        if (!s->blocks) {
            narrow(sums, made, length);
            continue;
        }
        made = s->made + 2 * length * (i / 2) + 2 * BANDS * (i % 2);
        for (int64_t x = 0; x < length; x += 2 * BANDS, made += 4 * BANDS) {
            for (int64_t band = 0; band < 2 * BANDS; band++) {
                made[band] = clipped(sums[x + band]);
            }
        }
    }
}

void NAMED(resize_, AURICLE_LEVEL)(const picture_scaling *s)
{
    int64_t bottom = s->down.size - 1, length = BANDS * s->across.size;
    int64_t first = s->down.bounds[0], source_length = BANDS * s->width;
    int64_t last = s->down.bounds[2 * bottom] + s->down.bounds[2 * bottom + 1];
    int64_t wide_stride = source_length + 1, sums_stride = length + 1;
    int32_t *sums = s->work, *wide = sums + TOGETHER * sums_stride;
    uint8_t *rows = (uint8_t *)(wide + TOGETHER * wide_stride);
    for (int64_t at = first; at < last; at += TOGETHER) {
        int count = last - at < TOGETHER ? (int)(last - at) : TOGETHER;
        for (int row = 0; row < count; row++) {
            int32_t *widened = wide + row * wide_stride;
            widen(s->source + source_length * (at + row), widened, source_length);
            widened[source_length] = 0;
        }
        if (count == TOGETHER) {
            scale_across(&s->across, wide, wide_stride, sums, sums_stride, TOGETHER);
        } else {
            for (int row = 0; row < count; row++) {
                scale_across(&s->across, wide + row * wide_stride, 0, sums + row * sums_stride, 0,
                             1);
            }
        }
        for (int row = 0; row < count; row++) {
            narrow(sums + row * sums_stride, rows + length * (at + row - first), length);
        }
    }
    scale_down(s, rows, sums);
}
