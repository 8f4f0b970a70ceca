/* Features to hypervectors: seeded sign flips, an integer Hadamard transform, the sign.
 *
 * Seven stages of the transform run two numbers to a word (low + 65536 * high: sums and differences
 * need no masks, and 128 * 255 stays within 16 bits).  Wider taps need only the signs of the last
 * stages, which work on short runs of full words.
 */
#include "auricle_kernel.h"

#define PACKED 128u /* maximum number of summands that fit into half a word */
#define SIGN 0x80000000u

#define BUTTERFLY(a, b)      \
    do {                     \
        uint32_t sum = a + b; \
        b = a - b;           \
        a = sum;             \
    } while (0)

/* Three stages at distances h, 2h and 4h over `size` words. */
static void radix8(uint32_t *values, uint32_t size, uint32_t h)
{
    for (uint32_t at = 0; at < size; at += 8 * h) {
        for (uint32_t *p = values + at; p < values + at + h; p++) {
            uint32_t a = p[0], b = p[h], c = p[2 * h], d = p[3 * h];
            uint32_t e = p[4 * h], f = p[5 * h], g = p[6 * h], i = p[7 * h];
            BUTTERFLY(a, e);
            BUTTERFLY(b, f);
            BUTTERFLY(c, g);
            BUTTERFLY(d, i);
            BUTTERFLY(a, c);
            BUTTERFLY(b, d);
            BUTTERFLY(e, g);
            BUTTERFLY(f, i);
            p[0] = a + b;
            p[h] = a - b;
            p[2 * h] = c + d;
            p[3 * h] = c - d;
            p[4 * h] = e + f;
            p[5 * h] = e - f;
            p[6 * h] = g + i;
            p[7 * h] = g - i;
        }
    }
}

/* Two stages at distances h and 2h. */
static void radix4(uint32_t *values, uint32_t size, uint32_t h)
{
    for (uint32_t at = 0; at < size; at += 4 * h) {
        for (uint32_t *p = values + at; p < values + at + h; p++) {
            uint32_t a = p[0], b = p[h], c = p[2 * h], d = p[3 * h];
            BUTTERFLY(a, c);
            BUTTERFLY(b, d);
            p[0] = a + b;
            p[h] = a - b;
            p[2 * h] = c + d;
            p[3 * h] = c - d;
        }
    }
}

void auricle_hadamard(uint32_t *values, uint32_t size)
{
    uint32_t h = 1;
    for (; 8 * h <= size; h *= 8) {
        radix8(values, size, h);
    }
    if (4 * h <= size) {
        radix4(values, size, h);
    } else if (2 * h <= size) {
        for (uint32_t *p = values; p < values + h; p++) {
            BUTTERFLY(p[0], p[h]);
        }
    }
}

/* Returns a value, negated if its flip is set. */
static uint32_t flipped(uint32_t value, uint32_t flips, uint32_t at)
{
    uint32_t mask = (uint32_t)((int32_t)(flips << (31 - at)) >> 31);
    return (value ^ mask) - mask;
}

/* Returns one word of flips, starting at any flip. */
static uint32_t flips_from(const uint32_t *flips, uint32_t at)
{
    return flips[at >> 5] >> (at & 31);
}

/* The first stage of a tap's transform: packs sums and differences of its two halves, the second
 * padded with zeros, into `half` words.  first: the tap's first flip. */
static void load(uint32_t *packed, uint32_t half, const uint8_t *x, uint32_t count,
                 const uint32_t *flips, uint32_t first)
{
    const uint8_t *y = x + half;
    uint32_t both = count - half, at = 0, a, b;
    for (; at + 4 <= both; at += 4) {
        uint32_t low = flips_from(flips, first + at);
        uint32_t high = flips_from(flips, first + half + at);
        a = flipped(x[at], low, 0), b = flipped(y[at], high, 0);
        packed[at] = a + b + ((a - b) << 16);
        a = flipped(x[at + 1], low, 1), b = flipped(y[at + 1], high, 1);
        packed[at + 1] = a + b + ((a - b) << 16);
        a = flipped(x[at + 2], low, 2), b = flipped(y[at + 2], high, 2);
        packed[at + 2] = a + b + ((a - b) << 16);
        a = flipped(x[at + 3], low, 3), b = flipped(y[at + 3], high, 3);
        packed[at + 3] = a + b + ((a - b) << 16);
    }
    for (; at < half; at++) {
        a = flipped(x[at], flips_from(flips, first + at), 0);
        b = at < both ? flipped(y[at], flips_from(flips, first + half + at), 0) : 0;
        packed[at] = a + b + ((a - b) << 16);
    }
}

enum part { LOW, HIGH, WHOLE };

/* Returns one of the two numbers of a word, or the word.  Adding half a unit makes the shift by 16
 * bits give the exact high number. */
static inline uint32_t part_of(uint32_t word, enum part part)
{
    if (part == WHOLE) {
        return word;
    }
    return (uint32_t)((int32_t)(part == LOW ? word << 16 : word + 0x8000u) >> 16);
}

static uint32_t with_sign(uint32_t word, uint32_t value)
{
    return word >> 1 | (value & SIGN);
}

/* Stores bits at a position that is a multiple of their number; call in ascending order. */
static void put(uint32_t *bits, uint32_t at, uint32_t value)
{
    if (at % 32 == 0) {
        bits[at / 32] = 0;
    }
    bits[at / 32] |= value << at % 32;
}

/* Stores the signs of `half` packed sums: the low halves, then the high ones. */
static void signs(const uint32_t *packed, uint32_t half, uint32_t *bits, uint32_t at)
{
    uint32_t run = half < 32 ? half : 32;
    for (uint32_t done = 0; done < half; done += run) {
        uint32_t low = 0, high = 0;
        for (const uint32_t *end = packed + run; packed < end; packed++) {
            low = with_sign(low, *packed << 16);
            high = with_sign(high, *packed + 0x8000u);
        }
        put(bits, at + done, low >> (32 - run));
        put(bits, at + half + done, high >> (32 - run));
    }
}

/* Signs of eight numbers after the last stages, over runs of 2, 4 or 8.  The numbers are halves of
 * packed sums or, if `whole`, full words. */
static uint32_t signs8(const uint32_t *p, uint32_t run, enum part part)
{
    uint32_t a = part_of(p[0], part), b = part_of(p[1], part), c = part_of(p[2], part);
    uint32_t d = part_of(p[3], part), e = part_of(p[4], part), f = part_of(p[5], part);
    uint32_t g = part_of(p[6], part), h = part_of(p[7], part), made = 0;
    if (run >= 8) {
        BUTTERFLY(a, e);
        BUTTERFLY(b, f);
        BUTTERFLY(c, g);
        BUTTERFLY(d, h);
    }
    if (run >= 4) {
        BUTTERFLY(a, c);
        BUTTERFLY(b, d);
        BUTTERFLY(e, g);
        BUTTERFLY(f, h);
    }
    made = with_sign(made, a + b);
    made = with_sign(made, a - b);
    made = with_sign(made, c + d);
    made = with_sign(made, c - d);
    made = with_sign(made, e + f);
    made = with_sign(made, e - f);
    made = with_sign(made, g + h);
    made = with_sign(made, g - h);
    return made >> 24;
}

/* `signs8` for one run of 16 numbers or more: does the stages before the last three. */
static void long_run(const uint32_t *packed, uint32_t run, enum part part, uint32_t *sums,
                     uint32_t *bits, uint32_t at)
{
    uint32_t half = run / 2;
    for (uint32_t k = 0; k < half; k++) {
        uint32_t one = part_of(packed[k], part), other = part_of(packed[half + k], part);
        sums[k] = one + other;
        sums[half + k] = one - other;
    }
    for (uint32_t step = half / 2; step >= 8; step /= 2) {
        for (uint32_t block = 0; block < run; block += 2 * step) {
            for (uint32_t *p = sums + block; p < sums + block + step; p++) {
                BUTTERFLY(p[0], p[step]);
            }
        }
    }
    for (uint32_t k = 0; k < run; k += 8) {
        put(bits, at + k, signs8(sums + k, 8, WHOLE));
    }
}

/* Does one half of a round for a tap wider than 128. */
static void wide_half(const uint32_t *packed, uint32_t half, enum part part, uint32_t *sums,
                      uint32_t *bits, uint32_t at, uint32_t end)
{
    uint32_t run = 2 * half / PACKED, step = run < 8 ? 8 : run;
    for (uint32_t place = 0; place < half && at + place < end; place += step) {
        if (run <= 8) {
            put(bits, at + place, signs8(packed + place, run, part));
        } else {
            long_run(packed + place, run, part, sums, bits, at + place);
        }
    }
}

void auricle_rounds(const auricle_tap *tap, const uint8_t *x, uint32_t *bits, void *work)
{
    uint32_t half = tap->padded / 2, *packed = work;
    for (uint32_t at = 0; at < tap->bits; at += tap->padded) {
        load(packed, half, x, tap->width, tap->flips, at);
        if (tap->padded <= PACKED) {
            auricle_hadamard(packed, half);
            signs(packed, half, bits, at);
        } else {
            radix8(packed, half, 2 * half / PACKED);
            radix8(packed, half, 16 * half / PACKED);
            wide_half(packed, half, LOW, packed + half, bits, at, tap->bits);
            wide_half(packed, half, HIGH, packed + half, bits, at + half, tap->bits);
        }
    }
}
