/* Hamming distance, products, plane and score; see auricle_kernel.h. */
#include "auricle_kernel.h"

#define ONE 1024
#define BELOW (2 * ONE)
#define LIMIT 65536u
#define FAR 62 /* cap of a block: deviations above the mean */

/* A gateway divides and takes roots in doubles: AURICLE_DOUBLES.  Both are exact for numbers up to
 * 2^52 once rounded down, since a quotient of whole numbers that is not whole is farther from the
 * next whole number than it is rounded. */
#ifdef AURICLE_DOUBLES
#include <math.h>
#endif

/* --- hypervectors ---------------------------------------------------------------------------- */

#ifdef AURICLE_LANES

uint32_t auricle_differing(const uint32_t *p, const uint32_t *q, uint32_t words)
{
    return lanes_differing(p, q, words);
}

#else

/* Adds three bits at each position: the sum goes to `a`, the carry to `carry`. */
#define ADD3(carry, a, b, c)          \
    do {                              \
        uint32_t unlike = (a) ^ (b);  \
        carry = ((a) & (b)) | (unlike & (c)); \
        a = unlike ^ (c);             \
    } while (0)

static uint32_t ones_in(uint32_t x)
{
    x -= x >> 1 & 0x55555555u;
    x = (x & 0x33333333u) + (x >> 2 & 0x33333333u);
    x = (x + (x >> 4)) & 0x0F0F0F0Fu;
    return x * 0x01010101u >> 24;
}

uint32_t auricle_differing(const uint32_t *p, const uint32_t *q, uint32_t words)
{
    uint32_t ones = 0, twos = 0, fours = 0, total = 0;
    /* Carry-save adders count bits, eight words at a time (Harley; Warren 2013, 5-2). */
    for (; words >= 8; words -= 8, p += 8, q += 8) {
        uint32_t a, b, c, d, eights;
        ADD3(a, ones, p[0] ^ q[0], p[1] ^ q[1]);
        ADD3(b, ones, p[2] ^ q[2], p[3] ^ q[3]);
        ADD3(c, twos, a, b);
        ADD3(a, ones, p[4] ^ q[4], p[5] ^ q[5]);
        ADD3(b, ones, p[6] ^ q[6], p[7] ^ q[7]);
        ADD3(d, twos, a, b);
        ADD3(eights, fours, c, d);
        total += 8 * ones_in(eights);
    }
    return total + 4 * ones_in(fours) + 2 * ones_in(twos) + ones_in(ones);
}

#endif

/* --- products of features and rows of whole numbers ------------------------------------------- */

/* Four rows at once share each load of a feature. */
#define DOT4(type, from, loaded)                                              \
    do {                                                                      \
        const type *w0 = weights, *w1 = w0 + step[0], *w2 = w0 + step[1];     \
        const type *w3 = w0 + step[2];                                        \
        for (uint32_t i = from; i < width; i++) {                             \
            int32_t value = loaded;                                           \
            s0 += value * w0[i];                                              \
            s1 += value * w1[i];                                              \
            s2 += value * w2[i];                                              \
            s3 += value * w3[i];                                              \
        }                                                                     \
    } while (0)

/* Four rows of 4-bit numbers, two to a byte, the earlier row in the low half. */
#define DOT4_HALVES                                                           \
    do {                                                                      \
        const int8_t *p = rows, *q = p + (count > 2 ? width : 0);             \
        for (uint32_t i = 0; i < width; i++) {                                \
            int32_t value = levels[x[i]] << shifts[i], one = p[i], other = q[i]; \
            s0 += value * ((int32_t)((uint32_t)one << 28) >> 28);             \
            s1 += value * (one >> 4);                                         \
            s2 += value * ((int32_t)((uint32_t)other << 28) >> 28);           \
            s3 += value * (other >> 4);                                       \
        }                                                                     \
    } while (0)

void auricle_products(int32_t *sums, const auricle_factors *by, const void *rows, uint32_t count)
{
    const uint8_t *x = by->x, *shifts = by->shifts;
    const uint16_t *levels = by->levels;
    uint32_t width = by->width, done = 0;
    /* If fewer than four rows remain, the last one is repeated. */
    uint32_t step[3] = {width * (count > 1), width * (count > 2 ? 2 : count - 1),
                        width * (count > 3 ? 3 : count - 1)};
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    if (by->size == AURICLE_HALVES) {
        DOT4_HALVES;
    } else if (by->size == AURICLE_BYTES) {
        const int8_t *weights = rows;
        DOT4(int8_t, 0, levels[x[i]] << shifts[i]);
    } else if (by->size == AURICLE_SHORTS) {
        const int16_t *weights = rows;
#ifdef AURICLE_LANES
        lanes t0 = lanes_zero(), t1 = t0, t2 = t0, t3 = t0;
        for (; done + AURICLE_LANES <= width; done += AURICLE_LANES) {
            lanes value = lanes_of_bytes(x + done);
            t0 = lanes_add32(t0, lanes_pairs(value, lanes_load(weights + done)));
            t1 = lanes_add32(t1, lanes_pairs(value, lanes_load(weights + step[0] + done)));
            t2 = lanes_add32(t2, lanes_pairs(value, lanes_load(weights + step[1] + done)));
            t3 = lanes_add32(t3, lanes_pairs(value, lanes_load(weights + step[2] + done)));
        }
        s0 = (int32_t)lanes_total32(t0), s1 = (int32_t)lanes_total32(t1);
        s2 = (int32_t)lanes_total32(t2), s3 = (int32_t)lanes_total32(t3);
#endif
        DOT4(int16_t, done, x[i]);
    } else {
        const int32_t *weights = rows;
        DOT4(int32_t, 0, x[i]);
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

/* --- plane ----------------------------------------------------------------------------------- */

uint32_t auricle_root(uint64_t value)
{
#ifdef AURICLE_DOUBLES
    return (uint32_t)sqrt((double)value);
#else
    /* Digit by digit. */
    uint64_t made = 0, step = (uint64_t)1 << 60;
    while (step > value) {
        step >>= 2;
    }
    for (; step; step >>= 2) {
        uint64_t tried = made + step;
        made >>= 1;
        if (value >= tried) {
            value -= tried;
            made += step;
        }
    }
    return (uint32_t)made;
#endif
}

uint64_t auricle_squares(const uint8_t *x, const int16_t *zeros, const uint16_t *scale,
                         uint32_t count)
{
    uint64_t squares = 0;
    for (uint32_t k = 0; k < count; k++) {
        int64_t value = ((int32_t)x[k] - zeros[k]) * (int32_t)scale[k];
        squares += (uint64_t)(value * value);
    }
    return squares;
}

static int32_t clipped(int64_t value)
{
    return value > AURICLE_REACH    ? AURICLE_REACH
           : value < -AURICLE_REACH ? -AURICLE_REACH
                                    : (int32_t)value;
}

/* along * gain / (1024 * norm), rounded down, clipped at AURICLE_REACH.  norm: below 2^31. */
static int32_t scaled(int32_t along, int32_t gain, uint32_t norm)
{
    /* Dividing by 1,024 first keeps the divisor in a word; ~x = -x - 1 rounds negatives down. */
    int64_t product = (int64_t)along * gain >> 10;
    uint64_t rest = (uint64_t)(product < 0 ? ~product : product);
#ifdef AURICLE_DOUBLES
    double quotient = (double)(int64_t)rest / (double)norm;
    int32_t made = (int32_t)(quotient < AURICLE_REACH ? quotient : AURICLE_REACH);
    return product < 0 ? ~made : made;
#else
    uint32_t high = (uint32_t)(rest >> 32), low = (uint32_t)rest, made = 0;
    if (high >= norm) {
        made = AURICLE_REACH;
    } else if (high == 0) {
        made = low / norm;
    } else {
        for (int bit = 0; bit < 32; bit++) {
            high = high << 1 | low >> 31;
            low <<= 1;
            made <<= 1;
            if (high >= norm) {
                high -= norm;
                made |= 1;
            }
        }
    }
    made = made > AURICLE_REACH ? AURICLE_REACH : made;
    return product < 0 ? (int32_t)~made : (int32_t)made;
#endif
}

uint64_t auricle_plane_code(const auricle_plane *p, const uint8_t *x, int32_t *made)
{
    const auricle_factors by = {x, 0, 0, p->count, p->wide == 1 ? AURICLE_SHORTS : AURICLE_WORDS};
    uint64_t squares = auricle_squares(x, p->zeros, p->scale, p->count);
    uint32_t own = squares ? auricle_root(squares) : 1, norm = p->fixed ? p->fixed : own;
    int64_t length = scaled((int32_t)own, 1 << 30, norm); /* in units of 2^-20 of the divisor */
    uint64_t inside = 0, whole = (uint64_t)(length * length);
    for (uint32_t at = 0; at < p->rank; at += 4) {
        uint32_t count = p->rank - at < 4 ? p->rank - at : 4;
        const uint8_t *rows = (const uint8_t *)p->axes + at * (p->count << p->wide);
        int32_t sums[4];
        auricle_products(sums, &by, rows, count);
        for (uint32_t k = 0; k < count; k++) {
            int32_t along = sums[k] - p->offset[at + k];
            int64_t inside_at = scaled(along, p->gains[at + k], norm);
            made[at + k] = clipped(inside_at - p->centre[at + k]);
            if (p->rest) {
                int64_t unit = scaled(along, p->lengths[at + k], norm);
                inside += (uint64_t)(unit * unit);
            }
        }
    }
    made[p->rank] = 0;
    if (p->rest && inside < whole) {
        made[p->rank] = clipped((int64_t)auricle_root(whole - inside) * p->rest >> 32);
    }
    return squares;
}

uint32_t auricle_plane_distance(const int32_t *code, const int32_t *mean, uint32_t rank)
{
    uint64_t squares = 0;
    for (uint32_t k = 0; k < rank; k++) {
        int32_t apart = code[k] - mean[k];
        squares += (uint64_t)((int64_t)apart * apart);
    }
    return auricle_root(squares + (uint64_t)((int64_t)code[rank] * code[rank]));
}

/* --- joint score ----------------------------------------------------------------------------- */

/* The excess of a distance over two deviations below the mean, 1,024 a deviation. */
static uint32_t above(int32_t distance, const int32_t *scale)
{
    int32_t apart = distance - scale[0];
    uint32_t spread = (uint32_t)scale[1];
    uint32_t length = apart < 0 ? 0u - (uint32_t)apart : (uint32_t)apart;
    if (apart < 0 && length >= 2 * spread) {
        return 0;
    }
    if (apart >= 0 && length / FAR >= spread) {
        return LIMIT;
    }
#ifdef AURICLE_DOUBLES
    int64_t excess = (int64_t)apart * ONE + (int64_t)spread * BELOW;
    return (uint32_t)((double)excess / (double)spread);
#else
    /* Whole deviations are divided out first, so every value fits into a word. */
    uint32_t whole = length / spread, rest = (length - whole * spread) * ONE;
    if (apart >= 0) {
        return BELOW + whole * ONE + rest / spread;
    }
    return BELOW - whole * ONE - (rest + spread - 1) / spread;
#endif
}

int32_t auricle_joined(const int32_t *distances, const int32_t *scales, const uint8_t *votes,
                       uint32_t blocks)
{
    if (blocks == 1 && votes[0] == 1) {
        return (int32_t)above(distances[0], scales);
    }
    uint64_t squares = 0;
    for (uint32_t block = 0; block < blocks; block++) {
        uint64_t one = above(distances[block], scales + 2 * block);
        squares += one * one * votes[block];
    }
    return (int32_t)auricle_root(squares);
}
