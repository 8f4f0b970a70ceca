/* Scaling of 8-bit RGB pictures, with the whole numbers of Pillow's filter (Resample.c). */
#ifndef AURICLE_RESIZE_H
#define AURICLE_RESIZE_H

#include <stdint.h>

/* The version of the arguments; native.py uses no module of another one. */
#define INTERFACE 2

#define BANDS 3 /* red, green, blue */

/* How positions along one axis are made of those of the source: position i is the sum over k below
 * count of weights[i * most + k] times position first + k, where first and count are
 * bounds[2 * i] and bounds[2 * i + 1]. */
typedef struct {
    const int32_t *bounds, *weights;
    int64_t size, most;
} picture_axis;

/* A picture to scale.  source: its pixels, rows of `width`.  work: room for work_bytes.  blocks:
 * whether the result has the pixels of two rows and two columns together,
 * [height / 2][width / 2][2][2][3], and not [height][width][3]. */
typedef struct {
    const uint8_t *source;
    int64_t width;
    picture_axis across, down;
    uint8_t *made;
    void *work;
    int blocks;
} picture_scaling;

typedef void picture_resize(const picture_scaling *scaling);

picture_resize resize_portable;
#if defined(__x86_64__)
picture_resize resize_sse42, resize_avx2;
#endif

#define TOGETHER 4 /* rows that share the reading of the weights */

/* The bytes of work for a scaling that reads `rows` rows: sums and numbers of a few rows, one more
 * for each, and all rows scaled across. */
static inline int64_t work_bytes(int64_t made_width, int64_t source_width, int64_t rows)
{
    return 4 * TOGETHER * (BANDS * (made_width + source_width) + 2) + BANDS * made_width * rows;
}

#endif
