/* One instruction set of the hot path: the flags of the compiler choose it, AURICLE_LEVEL names it.
 * The source of the exported detector does the arithmetic; this file lays arrays out for it. */
#include "lanes.h"

#include "level.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#ifdef AURICLE_LANES
#include "rounds.h"
#else
#include "auricle_projection.c"
#endif
#include "auricle_kernel.c"

#define SHORT_ROW 256 /* products of bytes and 16 bits add up below 2^32 */
#define HARLEY 8u /* words that auricle_differing counts at a time without registers */

/* --- products of bytes ------------------------------------------------------------------------ */

#if defined(__ARM_FEATURE_DOTPROD)
#define BYTES_STEP 16
static __attribute__((noinline)) int32_t byte_product(const uint8_t *a, const uint8_t *b, int64_t width)
{
    uint32x4_t sum = vdupq_n_u32(0);
    int64_t at = 0;
    for (; at + BYTES_STEP <= width; at += BYTES_STEP) {
        sum = vdotq_u32(sum, vld1q_u8(a + at), vld1q_u8(b + at));
    }
    int32_t total = (int32_t)vaddvq_u32(sum);
    for (; at < width; at++) {
        total += (int32_t)a[at] * b[at];
    }
    return total;
}
#else
static __attribute__((noinline)) int32_t byte_product(const uint8_t *a, const uint8_t *b, int64_t width)
{
    int32_t total = 0;
    int64_t at = 0;
#ifdef AURICLE_LANES
    lanes one = lanes_zero(), other = one;
    for (; at + 2 * AURICLE_LANES <= width; at += 2 * AURICLE_LANES) {
        const uint8_t *p = a + at, *q = b + at;
        one = lanes_add32(one, lanes_pairs(lanes_of_bytes(p), lanes_of_bytes(q)));
        p += AURICLE_LANES, q += AURICLE_LANES;
        other = lanes_add32(other, lanes_pairs(lanes_of_bytes(p), lanes_of_bytes(q)));
    }
    total = (int32_t)lanes_total32(lanes_add32(one, other));
#endif
    for (; at < width; at++) {
        total += (int32_t)a[at] * b[at];
    }
    return total;
}
#endif

/* The product of a short row, which fits 32 bits. */
static uint32_t short_product(const uint8_t *bytes, const uint16_t *wholes, int64_t width)
{
    uint32_t total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t at = 0; at < width; at++) {
        total += (uint32_t)bytes[at] * wholes[at];
    }
    return total;
}

/* work: [2 * width]. */
static void whole_products(const uint8_t *rows, const uint16_t *wholes, int64_t count,
                           int64_t width, int64_t *made, uint8_t *work)
{
    uint8_t *high = work, *low = work + width;
    if (width <= SHORT_ROW) {
        for (int64_t row = 0; row < count; row++) {
            made[row] = short_product(rows + row * width, wholes, width);
        }
        return;
    }
    for (int64_t at = 0; at < width; at++) {
        high[at] = (uint8_t)(wholes[at] >> 8);
        low[at] = (uint8_t)wholes[at];
    }
    for (int64_t row = 0; row < count; row++) {
        const uint8_t *bytes = rows + row * width;
        made[row] = 256 * (int64_t)byte_product(bytes, high, width)
            + byte_product(bytes, low, width);
    }
}

#include "linear.h"
#include "windows.h"

/* --- coding ----------------------------------------------------------------------------------- */

static uint32_t work_of(uint32_t padded)
{
#ifdef AURICLE_LANES
    return rounds_work(padded);
#else
    /* As work_bytes in export_image.py, and the last round's bits. */
    return 4 * (padded / 2 + (padded > PACKED ? padded / PACKED : 2)) + padded / 8 + 8;
#endif
}

static void hypervector(const auricle_tap *tap, const uint8_t *x, uint64_t *bits, void *work)
{
    if (tap->padded == 1) {
        /* A transform of one number changes nothing. */
        memset(bits, 0, tap->bits / 8);
        if (x[0]) {
            memcpy(bits, tap->flips, tap->bits / 8);
        }
        return;
    }
#ifdef AURICLE_LANES
    auricle_rounds(tap, x, (uint32_t *)bits, work);
#else
    /* Whole rounds; the last one may be longer than what is left. */
    uint32_t whole = tap->bits / tap->padded * tap->padded, rest = tap->bits - whole;
    auricle_tap most = *tap;
    most.bits = tap->padded > PACKED ? tap->bits : whole;
    auricle_rounds(&most, x, (uint32_t *)bits, work);
    if (rest && tap->padded <= PACKED) {
        uint32_t *end = (uint32_t *)work + tap->padded / 2 + 2;
        most.bits = tap->padded;
        most.flips += whole / 32;
        auricle_rounds(&most, x, end, work);
        memcpy((uint8_t *)bits + whole / 8, end, rest / 8);
    }
#endif
}

/* 4,096 x the binary logarithm of a number below 2^53; 0 counts as 1. */
static int64_t log_of(const int16_t *table, uint64_t value)
{
    double whole = value ? (double)value : 1.0;
    uint64_t held;
    memcpy(&held, &whole, sizeof held);
    held >>= 42;
    return table[held & 1023] + ((int64_t)(held >> 10) - 1023) * 4096;
}

static void norms_code(const native_geometry *g, const uint8_t *x, uint64_t shared, int64_t *made)
{
    for (uint32_t out = 0; out < g->norms; out++) {
        made[out] = 0;
    }
    for (uint32_t tap = 0; tap < g->norms; tap++) {
        uint32_t start = g->edges[tap], count = g->edges[tap + 1] - start;
        uint64_t squares = tap == g->shared
                               ? shared
                               : auricle_squares(x + start, g->zeros + start, g->scale + start,
                                                 count);
        int64_t held = log_of(g->log_table, squares);
        for (uint32_t out = 0; out < g->norms; out++) {
            made[out] += held * g->mix[tap * g->norms + out];
        }
    }
    for (uint32_t out = 0; out < g->norms; out++) {
        made[out] >>= 16;
    }
}

static int code_row(const native_geometry *g, const uint8_t *x, int64_t *values, int32_t *code)
{
    const uint8_t *first = x + g->columns_start;
    for (uint32_t k = 0; k < g->columns; k++) {
        *values++ = (int64_t)(first[k] * g->gains[k]);
    }
    uint64_t squares = 0;
    if (g->plane_rank) {
        squares = auricle_plane_code(&g->plane, x + g->plane.start, code);
        uint32_t most = 0;
        for (uint32_t k = 0; k <= g->plane_rank; k++) {
            uint32_t size = (uint32_t)(code[k] < 0 ? -code[k] : code[k]);
            most = size > most ? size : most;
            *values++ = code[k];
        }
        if (most >= SMALL) {
            return INEXACT;
        }
    }
    if (g->norms) {
        norms_code(g, x, squares, values);
    }
    return 0;
}

static int project(const native_geometry *g, const uint8_t *features, int64_t count,
                   uint64_t *bits, int64_t *values, void *work)
{
    for (int64_t row = 0; row < count; row++) {
        const uint8_t *x = features + row * (int64_t)g->width;
        hypervector(&g->tap, x + g->tap_start, bits + row * (int64_t)(g->tap.bits / 64), work);
        if (code_row(g, x, values + row * (int64_t)g->values, work)) {
            return INEXACT;
        }
    }
    return 0;
}

/* --- comparing -------------------------------------------------------------------------------- */

static int64_t differing(const uint32_t *p, const uint32_t *q, uint32_t words)
{
#ifdef AURICLE_LANES
    return auricle_differing(p, q, words);
#else
    uint32_t last[2][HARLEY] = {{0}}, whole = words / HARLEY * HARLEY;
    memcpy(last[0], p + whole, (words - whole) * sizeof *p);
    memcpy(last[1], q + whole, (words - whole) * sizeof *q);
    return auricle_differing(p, q, whole) + auricle_differing(last[0], last[1], HARLEY);
#endif
}

static uint64_t city_block16(const uint16_t *a, const uint16_t *b, uint32_t count)
{
    uint64_t total = 0;
    uint32_t at = 0;
#ifdef AURICLE_LANES
    /* Up to 2^16 columns: sums of 16-bit numbers fit 32 bits. */
    lanes sum = lanes_zero();
    for (; at + AURICLE_LANES <= count; at += AURICLE_LANES) {
        lanes apart = lanes_apart16(lanes_load(a + at), lanes_load(b + at));
        sum = lanes_add32(sum, lanes_sum_pairs(apart));
    }
    total = lanes_total32(sum);
#endif
    for (; at < count; at++) {
        total += (uint64_t)(a[at] > b[at] ? a[at] - b[at] : b[at] - a[at]);
    }
    return total;
}

static uint64_t city_block32(const int32_t *a, const int32_t *b, uint32_t count)
{
    uint64_t total = 0;
    for (uint32_t k = 0; k < count; k++) {
        int32_t apart = a[k] - b[k];
        total += (uint32_t)(apart < 0 ? -apart : apart);
    }
    return total;
}

/* A sample's coordinates in the format of the means. */
typedef struct {
    uint16_t *narrow;
    int32_t *wide, *plane, *norms;
} coordinates;

static int in_range(const int64_t *values, int32_t *made, uint32_t count, int64_t least,
                    int64_t most)
{
    int64_t low = 0, high = 0;
    for (uint32_t k = 0; k < count; k++) {
        low = values[k] < low ? values[k] : low;
        high = values[k] > high ? values[k] : high;
        made[k] = (int32_t)values[k];
    }
    return low >= least && high <= most;
}

static int narrowed(const int64_t *values, uint16_t *made, uint32_t count)
{
    uint64_t all = 0;
    for (uint32_t k = 0; k < count; k++) {
        all |= (uint64_t)values[k];
        made[k] = (uint16_t)values[k];
    }
    return all <= UINT16_MAX;
}

/* Lays a sample out; returns 0 if a coordinate is out of range. */
static int lay_out(const native_memory *m, const int64_t *values, void *work, coordinates *c)
{
    c->narrow = work;
    c->wide = work;
    c->plane = (int32_t *)work + m->columns;
    c->norms = c->plane + m->plane;
    const int64_t *plane = values + m->columns, *norms = plane + m->plane;
    int fits = m->wide ? in_range(values, c->wide, m->columns, -SMALL, SMALL)
                       : narrowed(values, c->narrow, m->columns);
    /* The plane's distance ends with the length outside, the norms' with nothing. */
    c->norms[m->norms] = 0;
    return fits && in_range(plane, c->plane, m->plane, -SMALL, SMALL)
        && in_range(norms, c->norms, m->norms, -SMALL, SMALL);
}

static int distance_to(const native_memory *m, const uint64_t *bits, const coordinates *c,
                       int64_t at, int64_t *made)
{
    uint32_t inexact = 0;
    *made++ = differing(m->majorities + at * (int64_t)m->words, (const uint32_t *)bits, m->words);
    if (m->columns) {
        int64_t first = at * (int64_t)m->columns;
        uint64_t apart =
            m->wide ? city_block32(c->wide, (const int32_t *)m->columns_means + first, m->columns)
                    : city_block16(c->narrow, (const uint16_t *)m->columns_means + first,
                                   m->columns);
        inexact |= apart >= SMALL;
        *made++ = (int64_t)apart;
    }
    if (m->plane) {
        const int32_t *mean = m->plane_means + at * (int64_t)m->plane;
        uint32_t apart = auricle_plane_distance(c->plane, mean, m->plane - 1);
        inexact |= apart >= EXACT_ROOT;
        *made++ = apart;
    }
    if (m->norms) {
        const int32_t *mean = m->norms_means + at * (int64_t)m->norms;
        uint32_t apart = auricle_plane_distance(c->norms, mean, m->norms);
        inexact |= apart >= EXACT_ROOT;
        *made++ = apart;
    }
    return (int)inexact;
}

static int distances(const native_memory *m, const uint64_t *bits, const int64_t *values,
                     const int64_t *only, int64_t count, int64_t *made, void *work)
{
    coordinates laid;
    if (!lay_out(m, values, work, &laid)) {
        return INEXACT;
    }
    int inexact = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t at = only ? only[i] : i;
        if (at < 0 || at >= (int64_t)m->concepts) {
            return INEXACT;
        }
        inexact |= distance_to(m, bits, &laid, at, made + i * (int64_t)m->blocks);
    }
    return inexact;
}

/* Ranges of the numbers in scores: as in an export, and far beyond real ones. */
#define MEAN_MAX (1 << 30)
#define SPREAD_MAX ((1 << 22) - 1)

/* Lays terms out for a score; returns 0 if one is out of range. */
static int terms_fit(const int64_t *distances, const int64_t *scales, uint32_t count,
                     int32_t *near, int32_t *scale)
{
    int64_t bad = 0;
    for (uint32_t k = 0; k < count; k++) {
        int64_t mean = scales[2 * k], spread = scales[2 * k + 1], distance = distances[k];
        bad |= (mean < -MEAN_MAX) | (mean > MEAN_MAX) | (spread < 1) | (spread > SPREAD_MAX)
            | (distance < 0) | (distance > MEAN_MAX);
        near[k] = (int32_t)distance;
        scale[2 * k] = (int32_t)mean;
        scale[2 * k + 1] = (int32_t)spread;
    }
    return !bad;
}

static int scores(const native_memory *m, const int64_t *apart, const int64_t *scales,
                  int per_concept, const int64_t *only, int64_t count, int64_t *made)
{
    int32_t near[BLOCKS_MAX], scale[2 * BLOCKS_MAX];
    for (int64_t i = 0; i < count; i++, apart += m->blocks) {
        int64_t at = only ? only[i] : i;
        const int64_t *own = scales + (per_concept ? at * 2 * (int64_t)m->blocks : 0);
        if (!terms_fit(apart, own, m->blocks, near, scale)) {
            return INEXACT;
        }
        made[i] = auricle_joined(near, scale, m->votes, m->blocks);
    }
    return 0;
}

static int joint(const native_joint *t, int64_t *made)
{
    int32_t near[BLOCKS_MAX + 2], scale[2 * BLOCKS_MAX + 4];
    uint8_t votes[BLOCKS_MAX + 2];
    int64_t both[2];
    for (uint32_t k = 0; k < t->blocks; k++) {
        votes[k] = (uint8_t)t->votes[k];
        if (t->votes[k] != votes[k]) {
            return INEXACT;
        }
    }
    for (uint32_t k = 0; k < 2; k++) {
        both[k] = t->nearest[k] < 0 ? t->nearest_scales[2 * k] : t->nearest[k];
        votes[t->blocks + k] = (uint8_t)t->nearest_votes[k];
        if (t->nearest_votes[k] != votes[t->blocks + k]) {
            return INEXACT;
        }
    }
    if (!terms_fit(t->distances, t->scales, t->blocks, near, scale)
        || !terms_fit(both, t->nearest_scales, 2, near + t->blocks, scale + 2 * t->blocks)) {
        return INEXACT;
    }
    *made = auricle_joined(near, scale, votes, t->blocks + 2);
    return 0;
}

/* Writes the places of the `count` smallest of `all` numbers up to `most`, ascending; of equal
 * numbers the first ones. */
static void smallest(const uint32_t *numbers, int64_t all, int64_t count, uint32_t most,
                     uint32_t *histogram, int64_t *made)
{
    memset(histogram, 0, ((size_t)most + 1) * sizeof *histogram);
    for (int64_t i = 0; i < all; i++) {
        histogram[numbers[i]]++;
    }
    uint32_t limit = 0;
    int64_t below = 0;
    while (limit < most && below + histogram[limit] < count) {
        below += histogram[limit++];
    }
    int64_t equal = count - below;
    for (int64_t i = 0; i < all; i++) {
        if (numbers[i] < limit || (numbers[i] == limit && equal-- > 0)) {
            *made++ = i;
        }
    }
}

/* work: a number for each concept, a place for each concept screened, 32 times `words` + 1
 * numbers. */
static void nearest(const native_memory *m, const uint64_t *bits, int64_t count, int64_t *made,
                    void *work)
{
    int64_t *places = work, left = (int64_t)m->concepts;
    uint32_t *numbers = (uint32_t *)(places + m->screened), *histogram = numbers + m->concepts;
    const uint32_t *query = (const uint32_t *)bits;
    if (m->screen) {
        for (int64_t i = 0; i < left; i++) {
            const uint32_t *held = m->screen + i * (int64_t)m->screen_words;
            numbers[i] = (uint32_t)differing(held, query, m->screen_words);
        }
        smallest(numbers, left, m->screened, 32 * m->screen_words, histogram, places);
        left = m->screened;
    }
    for (int64_t i = 0; i < left; i++) {
        int64_t at = m->screen ? places[i] : i;
        numbers[i] = (uint32_t)differing(m->majorities + at * (int64_t)m->words, query, m->words);
    }
    smallest(numbers, left, count, 32 * m->words, histogram, made);
    for (int64_t i = 0; m->screen && i < count; i++) {
        made[i] = places[made[i]];
    }
}

/* --- exemplars -------------------------------------------------------------------------------- */

static int exemplars(const native_exemplars *held, const int64_t *columns, const int64_t *plane,
                     int64_t without, int64_t *made, void *work)
{
    float *one = work, *other = one + held->columns_width;
    float nearest_columns = 2.0f * SMALL;
    double nearest_plane = 4503599627370496.0; /* 2^52: roots are exact below */
    int64_t most = 0, columns_left = held->columns_count, plane_left = held->plane_count;
    for (uint32_t k = 0; k < held->columns_width; k++) {
        most |= columns[k] < 0 ? ~columns[k] : columns[k];
        one[k] = (float)columns[k];
    }
    for (uint32_t k = 0; k < held->plane_width; k++) {
        most |= plane[k] < 0 ? ~plane[k] : plane[k];
        other[k] = (float)plane[k];
    }
    /* Whole numbers: sums of floats are exact in any order below 2^24, of doubles below 2^53. */
    for (uint32_t row = 0; row < held->columns_count; row++) {
        const float *p = held->columns + (size_t)row * held->columns_width;
        if (row == without) {
            columns_left--;
            continue;
        }
        float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
        for (uint32_t k = 0; k < held->columns_width; k++) {
            sum += fabsf(p[k] - one[k]);
        }
        nearest_columns = sum < nearest_columns ? sum : nearest_columns;
    }
    for (uint32_t row = 0; row < held->plane_count; row++) {
        const float *p = held->plane + (size_t)row * held->plane_width;
        if (row == without) {
            plane_left--;
            continue;
        }
        double sum = 0.0;
#pragma omp simd reduction(+ : sum)
        for (uint32_t k = 0; k < held->plane_width; k++) {
            double apart = (double)p[k] - (double)other[k];
            sum += apart * apart;
        }
        nearest_plane = sum < nearest_plane ? sum : nearest_plane;
    }
    made[0] = columns_left ? (int64_t)nearest_columns : -1;
    made[1] = plane_left ? (int64_t)sqrt(nearest_plane) : -1;
    return most >= SMALL || (columns_left && nearest_columns >= (float)SMALL)
        || (plane_left && nearest_plane >= 4503599627370496.0);
}

/* Numbers of samples, one in each lane: sums over columns then need no sum over lanes. */
typedef float floats __attribute__((vector_size(4 * TOGETHER)));
typedef int32_t wholes __attribute__((vector_size(4 * TOGETHER)));
typedef double doubles __attribute__((vector_size(4 * TOGETHER)));
typedef int64_t longs __attribute__((vector_size(4 * TOGETHER)));

/* TOGETHER samples: their numbers by columns, and the exemplar of each that does not count. */
typedef struct {
    const float *columns;
    const double *plane;
    wholes without;
    longs without_low, without_high;
} together;

/* Writes the least sum of absolute differences of each sample; far where no exemplar counts. */
static void nearest_by_columns(const native_exemplars *held, const together *of, float far,
                               float *made)
{
    floats least = far - (floats){0.0f};
    for (uint32_t row = 0; row < held->columns_count; row++) {
        const float *p = held->columns + (size_t)row * held->columns_width;
        floats sum = {0.0f};
        for (uint32_t k = 0; k < held->columns_width; k++) {
            floats apart;
            memcpy(&apart, of->columns + (size_t)k * TOGETHER, sizeof apart);
            apart = p[k] - apart;
            sum += (floats)((wholes)apart & INT32_MAX);
        }
        wholes nearer = (sum < least) & (of->without != (int32_t)row);
        least = (floats)(((wholes)sum & nearer) | ((wholes)least & ~nearer));
    }
    memcpy(made, &least, sizeof least);
}

/* The same for sums of squares. */
static void nearest_by_plane(const native_exemplars *held, const together *of, double far,
                             double *made)
{
    doubles least_low = far - (doubles){0.0}, least_high = least_low;
    for (uint32_t row = 0; row < held->plane_count; row++) {
        const float *p = held->plane + (size_t)row * held->plane_width;
        doubles low = {0.0}, high = {0.0};
        for (uint32_t k = 0; k < held->plane_width; k++) {
            doubles one, other;
            memcpy(&one, of->plane + (size_t)k * TOGETHER, sizeof one);
            memcpy(&other, of->plane + (size_t)k * TOGETHER + TOGETHER / 2, sizeof other);
            one = (double)p[k] - one;
            other = (double)p[k] - other;
            low += one * one;
            high += other * other;
        }
        longs nearer = (low < least_low) & (of->without_low != (int64_t)row);
        least_low = (doubles)(((longs)low & nearer) | ((longs)least_low & ~nearer));
        nearer = (high < least_high) & (of->without_high != (int64_t)row);
        least_high = (doubles)(((longs)high & nearer) | ((longs)least_high & ~nearer));
    }
    memcpy(made, &least_low, sizeof least_low);
    memcpy(made + TOGETHER / 2, &least_high, sizeof least_high);
}

/* Lays samples out by columns, the last one again where there are fewer than TOGETHER; returns
 * whether all numbers are in range. */
static int lay_together(const native_exemplars *held, const int64_t *columns, const int64_t *plane,
                        const int64_t *without, int64_t count, float *by_columns,
                        double *by_plane, together *made)
{
    int64_t most = 0, width = held->columns_width, rank = held->plane_width;
    for (int64_t lane = 0; lane < TOGETHER; lane++) {
        int64_t row = lane < count ? lane : count - 1;
        const int64_t *one = columns + row * width, *other = plane + row * rank;
        for (int64_t k = 0; k < width; k++) {
            most |= one[k] < 0 ? ~one[k] : one[k];
            by_columns[k * TOGETHER + lane] = (float)one[k];
        }
        for (int64_t k = 0; k < rank; k++) {
            most |= other[k] < 0 ? ~other[k] : other[k];
            by_plane[k * TOGETHER + lane] = (double)other[k];
        }
        made->without[lane] = (int32_t)without[row];
        if (lane < TOGETHER / 2) {
            made->without_low[lane] = without[row];
        } else {
            made->without_high[lane - TOGETHER / 2] = without[row];
        }
    }
    made->columns = by_columns;
    made->plane = by_plane;
    return most < SMALL;
}

static int exemplars_of_many(const native_exemplars *held, const int64_t *columns,
                             const int64_t *plane, const int64_t *without, int64_t count,
                             int64_t *made, void *work)
{
    int64_t width = held->columns_width, rank = held->plane_width, at = 0;
    int inexact = 0;
    double *by_plane = work;
    float *by_columns = (float *)(by_plane + rank * TOGETHER);
    /* Lanes that are not used cost as much as those that are. */
    for (; count - at >= TOGETHER / 4 && !inexact; at += TOGETHER) {
        int64_t here = count - at < TOGETHER ? count - at : TOGETHER;
        together of;
        float nearest_columns[TOGETHER];
        double nearest_plane[TOGETHER];
        inexact = !lay_together(held, columns + at * width, plane + at * rank, without + at, here,
                                by_columns, by_plane, &of);
        nearest_by_columns(held, &of, 2.0f * SMALL, nearest_columns);
        nearest_by_plane(held, &of, 4503599627370496.0, nearest_plane); /* 2^52 */
        for (int64_t lane = 0; lane < here; lane++) {
            int64_t gone = without[at + lane], *of_one = made + 2 * (at + lane);
            int columns_left = held->columns_count > (gone >= 0 && gone < held->columns_count);
            int plane_left = held->plane_count > (gone >= 0 && gone < held->plane_count);
            of_one[0] = columns_left ? (int64_t)nearest_columns[lane] : -1;
            of_one[1] = plane_left ? (int64_t)sqrt(nearest_plane[lane]) : -1;
            inexact |= (columns_left && nearest_columns[lane] >= (float)SMALL)
                || (plane_left && nearest_plane[lane] >= 4503599627370496.0);
        }
    }
    for (; at < count && !inexact; at++) {
        inexact = exemplars(held, columns + at * width, plane + at * rank, without[at],
                            made + 2 * at, work);
    }
    return inexact;
}

/* --- residuals -------------------------------------------------------------------------------- */

/* Writes columns of a sample less a mean; returns the largest absolute number. */
static int64_t residual(const int64_t *values, const void *means, int wide, int64_t at,
                        int64_t count, double *made)
{
    const uint16_t *narrow = (const uint16_t *)means + at;
    const int32_t *whole = (const int32_t *)means + at;
    int64_t low = 0, high = 0;
    for (int64_t k = 0; k < count; k++) {
        int64_t apart = values[k] - (wide ? (int64_t)whole[k] : (int64_t)narrow[k]);
        low = apart < low ? apart : low;
        high = apart > high ? apart : high;
        made[k] = (double)apart;
    }
    return high > -low ? high : -low;
}

static double product(const double *p, const double *q, int64_t count)
{
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (int64_t k = 0; k < count; k++) {
        sum += p[k] * q[k];
    }
    return sum;
}

/* Adds the products of two rows with four rows each, made [2][stride]. */
static void eight_products(const double *p, const double *q, int64_t count, double *made,
                           int64_t stride)
{
    const double *p1 = p + RESIDUALS;
    const double *q1 = q + RESIDUALS, *q2 = q1 + RESIDUALS, *q3 = q2 + RESIDUALS;
    double a = 0.0, b = 0.0, c = 0.0, d = 0.0, e = 0.0, f = 0.0, g = 0.0, h = 0.0;
#pragma omp simd reduction(+ : a, b, c, d, e, f, g, h)
    for (int64_t k = 0; k < count; k++) {
        a += p[k] * q[k];
        b += p[k] * q1[k];
        c += p[k] * q2[k];
        d += p[k] * q3[k];
        e += p1[k] * q[k];
        f += p1[k] * q1[k];
        g += p1[k] * q2[k];
        h += p1[k] * q3[k];
    }
    made[0] += a, made[1] += b, made[2] += c, made[3] += d;
    made += stride;
    made[0] += e, made[1] += f, made[2] += g, made[3] += h;
}

/* Adds the products of rows [count][RESIDUALS] to the lower triangle of made; what it leaves above
 * the diagonal does not count. */
static void add_products(const double *rows, int64_t count, int64_t width, double *made)
{
    for (int64_t i = 0; i < count; i += 2) {
        int64_t both = i + 1 < count ? 2 : 1, j = 0;
        for (; both == 2 && j <= i + 1 && j + 4 <= count; j += 4) {
            eight_products(rows + i * RESIDUALS, rows + j * RESIDUALS, width,
                           made + i * count + j, count);
        }
        for (int64_t row = i; row < i + both; row++) {
            for (int64_t other = j; other <= row; other++) {
                made[row * count + other] += product(rows + row * RESIDUALS,
                                                     rows + other * RESIDUALS, width);
            }
        }
    }
}

static int block_products(const void *means, int wide, int64_t width, const int64_t *const *samples,
                          int64_t start, const int64_t *columns, int64_t count, double *made,
                          double *work)
{
    int64_t most = 0;
    memset(made, 0, (size_t)(count * count) * sizeof *made);
    for (int64_t at = 0; at < width; at += RESIDUALS) {
        int64_t part = width - at < RESIDUALS ? width - at : RESIDUALS;
        for (int64_t i = 0; i < count; i++) {
            int64_t largest = residual(samples[i] + start + at, means, wide,
                                       columns[i] * width + at, part, work + i * RESIDUALS);
            most = largest > most ? largest : most;
        }
        add_products(work, count, part, made);
    }
    for (int64_t i = 0; i < count; i++) {
        for (int64_t j = 0; j < i; j++) {
            made[j * count + i] = made[i * count + j];
        }
    }
    /* Sums of all products, whole numbers, are exact in any order up to 2^53. */
    return (double)most * (double)most * (double)width * (double)(count * count)
        >= 9007199254740992.0;
}

/* Sums up products [count][count] as `terms_of` in spread.py does, in the same order. */
static void sum_up(const double *products, int64_t count, double *means, double *made)
{
    double trace = 0.0, all = 0.0, total = 0.0, beside = 0.0, squares = 0.0, own = 0.0;
    for (int64_t i = 0; i < count; i++) {
        double sum = 0.0;
        for (int64_t j = 0; j < count; j++) {
            sum += products[i * count + j];
        }
        means[i] = sum / (double)count;
        all += sum;
        trace += products[i * count + i];
    }
    double mean = all / (double)count / (double)count;
    for (int64_t i = 0; i < count; i++) {
        double apart = means[i] - mean;
        for (int64_t j = 0; j < count; j++) {
            double centred = products[i * count + j] - means[j] - apart;
            double square = centred * centred;
            squares += square;
            if (j == i) {
                total += centred;
                own += square;
            }
            if (j == i + 1) {
                beside += centred;
            }
        }
    }
    made[0] = trace, made[1] = all, made[2] = total, made[3] = beside, made[4] = squares - own;
}

static int spread(const native_memory *m, const int64_t *const *samples, const int64_t *columns,
                  int64_t count, double *made, double *work)
{
    int64_t start = 0;
    int inexact = 0;
    const void *means[] = {m->columns_means, m->plane_means, m->norms_means};
    const int64_t widths[] = {m->columns, m->plane, m->norms};
    for (int k = 0; k < 3; k++) {
        if (widths[k]) {
            double *products = work + RESIDUALS * count;
            inexact |= block_products(means[k], k || m->wide, widths[k], samples, start, columns,
                                      count, products, work);
            sum_up(products, count, products + count * count, made);
            start += widths[k];
            made += SPREAD_TERMS;
        }
    }
    return inexact;
}

#define NAMED(level) native_##level
#define LEVEL(level) NAMED(level)
#define TEXT(level) #level
#define QUOTED(level) TEXT(level)

const native_level LEVEL(AURICLE_LEVEL) = {
    QUOTED(AURICLE_LEVEL), landmark_distances, work_of, project, distances, scores, nearest, joint,
    exemplars, exemplars_of_many, spread, linear, follow_windows,
};
