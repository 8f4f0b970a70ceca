/* The rounds of a projection in vector registers: the same transform as auricle_projection.c, which
 * runs where there are none.
 *
 * 128 numbers of a round fit 16 bits through seven stages (128 x 255 < 2^15), within registers; the
 * stages between such blocks take 32 bits.  A tap narrower than 128 fills a block with several
 * rounds.
 */
#ifndef AURICLE_ROUNDS_H
#define AURICLE_ROUNDS_H

#include "lanes.h"

#define BLOCK 128u
#define REGISTERS (BLOCK / AURICLE_LANES)
#define RUN 16u /* numbers whose signs fill 16 bits */

/* Flips the signs of a block and transforms runs of `size` numbers in it, at most 128. */
static void block_of(const uint8_t *x, const uint8_t *flips, uint32_t size, int16_t *made)
{
    lanes v[REGISTERS];
    for (uint32_t k = 0; k < REGISTERS; k++) {
        lanes a = lanes_of_bytes(x + k * AURICLE_LANES);
        a = lanes_flip(a, flips + k * AURICLE_LANES / 8);
        a = size > 1 ? lanes_stage(a, 1) : a;
        a = size > 2 ? lanes_stage(a, 2) : a;
        a = size > 4 ? lanes_stage(a, 4) : a;
#if AURICLE_LANES > 8
        a = size > 8 ? lanes_stage(a, 8) : a;
#endif
#if AURICLE_LANES > 16
        a = size > 16 ? lanes_stage(a, 16) : a;
#endif
        v[k] = a;
    }
    for (uint32_t step = 1; step < REGISTERS; step *= 2) {
        if (size <= step * AURICLE_LANES) {
            break;
        }
        for (uint32_t at = 0; at < REGISTERS; at += 2 * step) {
            for (uint32_t k = at; k < at + step; k++) {
                lanes a = v[k], b = v[k + step];
                v[k] = lanes_add16(a, b);
                v[k + step] = lanes_sub16(a, b);
            }
        }
    }
    for (uint32_t k = 0; k < REGISTERS; k++) {
        lanes_store(made + k * AURICLE_LANES, v[k]);
    }
}

static void put16(uint32_t *bits, uint32_t at, uint32_t end, uint16_t signs)
{
    if (at < end) {
        memcpy((uint8_t *)bits + at / 8, &signs, sizeof signs);
    }
}

/* The stages between `blocks` blocks, and the signs of all sums. */
static void between(const int16_t *made, uint32_t blocks, int32_t *sums, uint32_t *bits,
                    uint32_t at, uint32_t end)
{
    for (uint32_t run = 0; run < BLOCK; run += RUN) {
        for (uint32_t block = 0; block < blocks; block++) {
            for (uint32_t k = 0; k < RUN; k++) {
                sums[block * RUN + k] = made[block * BLOCK + run + k];
            }
        }
        for (uint32_t step = RUN; step < blocks * RUN; step *= 2) {
            for (uint32_t first = 0; first < blocks * RUN; first += 2 * step) {
                for (uint32_t k = first; k < first + step; k++) {
                    int32_t a = sums[k], b = sums[k + step];
                    sums[k] = a + b;
                    sums[k + step] = a - b;
                }
            }
        }
        for (uint32_t block = 0; block < blocks; block++) {
            put16(bits, at + block * BLOCK + run, end, lanes_signs32(sums + block * RUN));
        }
    }
}

/* work: see rounds_work. */
static void auricle_rounds(const auricle_tap *tap, const uint8_t *x, uint32_t *bits, void *work)
{
    uint32_t size = tap->padded, whole = size < BLOCK ? BLOCK : size, blocks = whole / BLOCK;
    const uint8_t *flips = (const uint8_t *)tap->flips;
    int16_t *made = work;
    int32_t *sums = (int32_t *)(made + whole);
    uint8_t *filled = (uint8_t *)(sums + blocks * RUN);
    uint32_t used = (tap->width + BLOCK - 1) / BLOCK;
    memset(filled, 0, used * BLOCK);
    for (uint32_t at = 0; at < whole && at < BLOCK; at += size) {
        memcpy(filled + at, x, tap->width);
    }
    memset(made + used * BLOCK, 0, (whole - used * BLOCK) * sizeof *made);
    for (uint32_t at = 0; at < tap->bits; at += whole) {
        for (uint32_t block = 0; block < used; block++) {
            uint32_t first = block * BLOCK;
            block_of(filled + first, flips + (at + first) / 8, size < BLOCK ? size : BLOCK,
                     made + first);
        }
        if (blocks == 1) {
            for (uint32_t run = 0; run < BLOCK; run += RUN) {
                put16(bits, at + run, tap->bits, lanes_signs16(made + run));
            }
        } else {
            between(made, blocks, sums, bits, at, tap->bits);
        }
    }
}

/* Bytes of working memory for a tap of this padded width. */
static uint32_t rounds_work(uint32_t padded)
{
    uint32_t whole = padded < BLOCK ? BLOCK : padded;
    return whole * 2 + whole / BLOCK * RUN * 4 + whole;
}

#endif
