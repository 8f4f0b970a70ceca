/* Features to hypervectors: seeded sign flips, an integer Hadamard transform, the sign.
 *
 * Blocks of 128 features are transformed two numbers to a word (low + 65536 * high; sums of the two
 * halves need no masks, and 128 * 255 stays within 16 bits).  Across blocks only signs are wanted,
 * so those sums never leave a small scratch of full words.
 */
#include "auricle_detector.h"

#include <string.h>

#define BLOCK 128u
#define HALF_MIN 32u
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

/* The Hadamard transform of `size` words, a power of two. */
static void transform(uint32_t *values, uint32_t size)
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

static uint32_t flipped(uint32_t value, uint32_t flips, uint32_t at)
{
    uint32_t mask = (uint32_t)((int32_t)(flips << (31 - at)) >> 31);
    return (value ^ mask) - mask;
}

/* One block of 2 * half features, of which `count` exist, as half words that hold the sums and
 * differences of its two halves: the first stage of its transform. */
static void load(uint32_t *packed, uint32_t half, const uint8_t *x, uint32_t count,
                 const uint32_t *flips)
{
    uint8_t last[BLOCK];
    if (count < 2 * half) {
        memcpy(last, x, count);
        memset(last + count, 0, 2 * half - count);
        x = last;
    }
    for (uint32_t at = 0; at < half; at += 4, x += 4, packed += 4) {
        const uint8_t *y = x + half;
        uint32_t low = flips[at >> 5] >> (at & 31);
        uint32_t high = flips[(at + half) >> 5] >> (at & 31);
        uint32_t a = flipped(x[0], low, 0), b = flipped(y[0], high, 0);
        packed[0] = a + b + ((a - b) << 16);
        a = flipped(x[1], low, 1), b = flipped(y[1], high, 1);
        packed[1] = a + b + ((a - b) << 16);
        a = flipped(x[2], low, 2), b = flipped(y[2], high, 2);
        packed[2] = a + b + ((a - b) << 16);
        a = flipped(x[3], low, 3), b = flipped(y[3], high, 3);
        packed[3] = a + b + ((a - b) << 16);
    }
}

/* Signs of one block of 2 * half packed sums: half / 32 words of the low, then of the high ones. */
static void signs(const uint32_t *packed, uint32_t half, uint32_t *bits)
{
    for (uint32_t word = 0; word < half / 32; word++) {
        uint32_t low = 0, high = 0;
        for (const uint32_t *end = packed + 32; packed < end; packed++) {
            low = low >> 1 | (*packed << 16 & SIGN);
            high = high >> 1 | ((*packed + 0x8000u) & SIGN);
        }
        bits[word] = low;
        bits[half / 32 + word] = high;
    }
}

/* The transform across `blocks` transformed blocks, zeros up to `outer`: signs of 32 places of the
 * low or high halves, into words that lie a block apart. */
static void cross(const uint32_t *packed, uint32_t blocks, uint32_t outer, uint32_t shift,
                  uint32_t *sums, uint32_t *held)
{
    memset(held, 0, 4 * outer);
    for (uint32_t place = 0; place < 32; place++) {
        const uint32_t *p = packed + place;
        for (uint32_t b = 0; b < blocks; b++, p += BLOCK / 2) {
            /* Adding half a unit first makes the cut at 16 bits the true high number. */
            sums[b] = (uint32_t)((int32_t)((*p + (shift ? 0 : 0x8000u)) << shift) >> 16);
        }
        memset(sums + blocks, 0, 4 * (outer - blocks));
        transform(sums, outer);
        for (uint32_t b = 0; b < outer; b++) {
            held[b] = held[b] >> 1 | (sums[b] & SIGN);
        }
    }
}

/* One round of a tap wider than a block.  At most `words` words are written. */
static void wide_round(const auricle_extract *e, const uint8_t *x, const uint32_t *flips,
                       uint32_t *bits, uint32_t words, uint32_t *work)
{
    uint32_t blocks = (e->tap_width + BLOCK - 1) / BLOCK, outer = e->padded / BLOCK;
    uint32_t *sums = work + blocks * BLOCK / 2, *held = sums + outer;
    for (uint32_t b = 0; b < blocks; b++) {
        uint32_t left = e->tap_width - b * BLOCK, *packed = work + b * BLOCK / 2;
        load(packed, BLOCK / 2, x + b * BLOCK, left, flips + b * BLOCK / 32);
        transform(packed, BLOCK / 2);
    }
    for (uint32_t quarter = 0; quarter < 4; quarter++) {
        cross(work + 32 * (quarter & 1), blocks, outer, quarter < 2 ? 16 : 0, sums, held);
        for (uint32_t b = 0; 4 * b + quarter < words && b < outer; b++) {
            bits[4 * b + quarter] = held[b];
        }
    }
}

/* Taps of at most 32 features: rounds shorter than the words that hold their signs. */
static void narrow(const auricle_extract *e, const uint8_t *x, uint32_t *bits, uint32_t *work)
{
    memset(bits, 0, e->bits / 8);
    for (uint32_t at = 0; at < e->bits; at += e->padded) {
        memset(work, 0, 4 * e->padded);
        for (uint32_t i = 0; i < e->tap_width; i++) {
            work[i] = flipped(x[i], e->flips[(at + i) >> 5], (at + i) & 31);
        }
        transform(work, e->padded);
        for (uint32_t i = 0; i < e->padded; i++) {
            bits[(at + i) >> 5] |= (work[i] >> 31) << ((at + i) & 31);
        }
    }
}

void auricle_project(const auricle_extract *e, const uint8_t *features, uint32_t *bits, void *work)
{
    const uint8_t *x = features + e->tap_start;
    uint32_t half = e->padded / 2, *packed = work;
    if (half < HALF_MIN) {
        narrow(e, x, bits, packed);
        return;
    }
    for (uint32_t at = 0; at < e->bits; at += e->padded) {
        const uint32_t *flips = e->flips + at / 32;
        if (e->padded > BLOCK) {
            wide_round(e, x, flips, bits + at / 32, (e->bits - at) / 32, packed);
        } else {
            load(packed, half, x, e->tap_width, flips);
            transform(packed, half);
            signs(packed, half, bits + at / 32);
        }
    }
}
