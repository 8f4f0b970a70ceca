/* Random features for the head: two rounds of seeded sign flips and a Hadamard transform of the
 * centred features, cut to bytes from 0 on (an orthogonal random matrix that is never stored; Le et
 * al. 2013, Yu et al. 2016).  Link it only if an extract has them.
 */
#include "auricle_detector_parts.h"

#include <stddef.h>
#include <string.h>

enum { ROUNDS, SHIFT, UNIT, COUNT, SIGNS, MEANS, WEIGHTS, POWERS, TABLE_WORDS };

#define PADDED_MAX 8192u
#define ROUNDS_MAX 4096u
#define LABELS_MAX 4096u
#define BYTE_MAX 255
#define POWER_MAX 15u

/* A sequence of bits. */
typedef struct {
    const uint32_t *words;
    uint32_t word, left;
} signs;

/* Returns a value, negated if the next bit is set. */
static uint32_t flip(signs *from, uint32_t value)
{
    if (from->left == 0) {
        from->word = *from->words++;
        from->left = 32;
    }
    uint32_t mask = 0u - (from->word & 1);
    from->word >>= 1;
    from->left--;
    return (value ^ mask) - mask;
}

static uint32_t padded_to(uint32_t width)
{
    uint32_t padded = 2;
    while (padded < width && padded < 2 * PADDED_MAX) {
        padded *= 2;
    }
    return padded;
}

/* Labels are stored in pairs; the last one may be padding. */
static uint32_t paired(uint32_t labels)
{
    return labels + labels % 2;
}

/* Computes the features of one round, one for each output of the transform. */
static void make(uint32_t *made, uint32_t padded, const auricle_extract *e, const uint8_t *x,
                 signs *from, const uint8_t *powers)
{
    const uint32_t *table = e->words + e->words[RANDOM];
    const uint8_t *means = (const uint8_t *)(e->words + table[MEANS]);
    for (uint32_t i = 0; i < padded; i++) {
        made[i] = flip(from, i < e->width ? (uint32_t)x[i] - means[i] : 0);
    }
    auricle_hadamard(made, padded);
    for (uint32_t i = 0; i < padded; i++) {
        made[i] = flip(from, made[i]);
    }
    auricle_hadamard(made, padded);
    for (uint32_t i = 0; i < padded; i++) {
        int32_t value = (int32_t)made[i] >> table[SHIFT];
        made[i] = (uint32_t)(value < 0 ? 0 : value > BYTE_MAX ? BYTE_MAX : value) << powers[i];
    }
}

/* Products with two rows of 4-bit weights, the first in the low half of each byte. */
static void add2(uint32_t *sums, const uint32_t *made, const int8_t *weights, uint32_t padded)
{
    uint32_t one = 0, other = 0;
    for (uint32_t i = 0; i < padded; i++) {
        int32_t pair = weights[i];
        one += made[i] * (uint32_t)((int32_t)((uint32_t)pair << 28) >> 28);
        other += made[i] * (uint32_t)(pair >> 4);
    }
    sums[0] += one;
    sums[1] += other;
}

static const int32_t *add_random(const auricle_extract *e, const uint8_t *features, void *work)
{
    const uint32_t *table = e->words + e->words[RANDOM];
    const uint8_t *powers = (const uint8_t *)(e->words + table[POWERS]);
    const int8_t *weights = (const int8_t *)(e->words + table[WEIGHTS]);
    signs from = {e->words + table[SIGNS], 0, 0};
    uint32_t padded = padded_to(e->width), labels = paired(table[COUNT]);
    uint32_t *sums = work, *made = sums + labels;
    memset(sums, 0, labels * sizeof *sums);
    for (uint32_t round = 0; round < table[ROUNDS]; round++) {
        make(made, padded, e, features, &from, powers);
        powers += padded;
        for (uint32_t label = 0; label < labels; label += 2, weights += padded) {
            add2(sums + label, made, weights, padded);
        }
    }
    for (uint32_t label = 0; label < labels; label++) {
        sums[label] <<= table[UNIT];
    }
    return work;
}

/* Checks the table of random features and its sections; it and each head must agree on labels. */
static int read_random(auricle_image *from, const auricle_extract *e)
{
    const uint32_t *table = auricle_section(from, RANDOM, TABLE_WORDS, 4);
    uint32_t padded = padded_to(e->width);
    if (table == NULL || padded > PADDED_MAX || table[ROUNDS] > ROUNDS_MAX || table[SHIFT] > 31
        || table[UNIT] > 31 || table[COUNT] == 0 || table[COUNT] > LABELS_MAX
        || table[ROUNDS] * padded > 0x7FFFFu || e->work_bytes / 4 < padded + paired(table[COUNT])) {
        return 0;
    }
    uint32_t place = (uint32_t)(table - from->words), features = table[ROUNDS] * padded;
    auricle_section(from, place + SIGNS, (2 * features + 31) / 32, 4);
    auricle_section(from, place + MEANS, e->width, 1);
    const uint8_t *powers = auricle_section(from, place + POWERS, features, 1);
    for (uint32_t at = 0; powers != NULL && at < features; at++) {
        if (powers[at] > POWER_MAX) {
            return 0;
        }
    }
    auricle_section(from, place + WEIGHTS, features * (paired(table[COUNT]) / 2), 1);
    for (uint32_t domain = 0; domain < e->domains; domain++) {
        if (e->heads[AURICLE_HEAD_WORDS * domain] != table[COUNT]) {
            return 0;
        }
    }
    return from->fits;
}

int auricle_open_random(auricle_extract *extract, const void *words, uint32_t bytes)
{
    auricle_image from = {words, 0, 1};
    int error = auricle_open_as(extract, &from, bytes, AURICLE_MAGIC_RANDOM);
    if (error == AURICLE_NOT_AN_EXTRACT) {
        return auricle_open(extract, words, bytes);
    }
    if (error == AURICLE_OK && !read_random(&from, extract)) {
        return AURICLE_INCONSISTENT;
    }
    extract->random = add_random;
    return error;
}
