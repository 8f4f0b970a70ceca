/* Concepts, verdict, route and answer. */
#include "auricle_detector.h"

#include <stddef.h>

#define ONE 1024
#define BELOW (2 * ONE)
#define LIMIT 65536u
#define FAR 62 /* cap of a block: deviations above the mean */
#define BLOCKS_MAX 3u
#define REACH (1 << 25)            /* largest coordinate in the plane; real data stay far below */

/* --- hypervectors ---------------------------------------------------------------------------- */

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

/* --- products of features and rows of whole numbers ------------------------------------------- */

/* Four rows at once share each load of a feature. */
#define DOT4(type, loaded)                                                    \
    do {                                                                      \
        const type *w0 = weights, *w1 = w0 + step[0], *w2 = w0 + step[1];     \
        const type *w3 = w0 + step[2];                                        \
        for (uint32_t i = 0; i < width; i++) {                                \
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

enum size { HALVES, BYTES, SHORTS, WORDS };

/* The input of a product: the features or, for rows of 8 or 4 bits, their entries in the table of
 * levels, shifted. */
typedef struct {
    const uint8_t *x, *shifts;
    const uint16_t *levels;
    uint32_t width;
    enum size size;
} factors;

/* Products with `count` rows, 1 to 4. */
static void dot4(int32_t *sums, const factors *by, const void *rows, uint32_t count)
{
    const uint8_t *x = by->x, *shifts = by->shifts;
    const uint16_t *levels = by->levels;
    uint32_t width = by->width;
    /* If fewer than four rows remain, the last one is repeated. */
    uint32_t step[3] = {width * (count > 1), width * (count > 2 ? 2 : count - 1),
                        width * (count > 3 ? 3 : count - 1)};
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    if (by->size == HALVES) {
        DOT4_HALVES;
    } else if (by->size == BYTES) {
        const int8_t *weights = rows;
        DOT4(int8_t, levels[x[i]] << shifts[i]);
    } else if (by->size == SHORTS) {
        const int16_t *weights = rows;
        DOT4(int16_t, x[i]);
    } else {
        const int32_t *weights = rows;
        DOT4(int32_t, x[i]);
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

/* --- columns --------------------------------------------------------------------------------- */

static int32_t columns_distance(const auricle_columns *c, const uint8_t *x, uint32_t concept)
{
    uint32_t total = 0, at = concept * c->count;
    for (uint32_t k = 0; k < c->count; k++, at++) {
        uint32_t mean =
            c->wide ? ((const uint32_t *)c->means)[at] : ((const uint16_t *)c->means)[at];
        int32_t apart = (int32_t)(x[k] * (uint32_t)c->gains[k] - mean);
        total += (uint32_t)(apart < 0 ? -apart : apart);
    }
    return (int32_t)total;
}

/* --- plane ----------------------------------------------------------------------------------- */

/* The integer square root of a number below 2^62, digit by digit. */
static uint32_t root(uint64_t value)
{
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
}

static uint32_t norm_of(const auricle_plane *p, const uint8_t *x)
{
    uint64_t squares = 0;
    for (uint32_t k = 0; k < p->count; k++) {
        int64_t value = ((int32_t)x[k] - p->zeros[k]) * (int32_t)p->scale[k];
        squares += (uint64_t)(value * value);
    }
    return squares ? root(squares) : 1;
}

static int32_t clipped(int64_t value)
{
    return value > REACH ? REACH : value < -REACH ? -REACH : (int32_t)value;
}

/* along * gain / (1024 * norm), rounded down, clipped at REACH.  norm: below 2^31. */
static int32_t scaled(int32_t along, int32_t gain, uint32_t norm)
{
    /* Dividing by 1,024 first keeps the divisor in a word; ~x = -x - 1 rounds negatives down. */
    int64_t product = (int64_t)along * gain >> 10;
    uint64_t rest = (uint64_t)(product < 0 ? ~product : product);
    uint32_t high = (uint32_t)(rest >> 32), low = (uint32_t)rest, made = 0;
    if (high >= norm) {
        made = REACH;
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
    made = made > REACH ? REACH : made;
    return product < 0 ? (int32_t)~made : (int32_t)made;
}

/* Computes the rank coordinates and the length outside the axes. */
static void plane_code(const auricle_plane *p, const uint8_t *x, int32_t *made)
{
    const factors by = {x, NULL, NULL, p->count, p->wide == 1 ? SHORTS : WORDS};
    uint32_t own = norm_of(p, x), norm = p->fixed ? p->fixed : own;
    int64_t length = scaled((int32_t)own, 1 << 30, norm); /* in units of 2^-20 of the divisor */
    uint64_t inside = 0, whole = (uint64_t)(length * length);
    for (uint32_t at = 0; at < p->rank; at += 4) {
        uint32_t count = p->rank - at < 4 ? p->rank - at : 4;
        const uint8_t *rows = (const uint8_t *)p->axes + at * (p->count << p->wide);
        int32_t sums[4];
        dot4(sums, &by, rows, count);
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
        made[p->rank] = clipped((int64_t)root(whole - inside) * p->rest >> 32);
    }
}

static int32_t plane_distance(const auricle_plane *p, const int32_t *code, uint32_t concept)
{
    const int32_t *mean = p->means + concept * p->rank;
    int64_t squares = (int64_t)code[p->rank] * code[p->rank];
    for (uint32_t k = 0; k < p->rank; k++) {
        int32_t apart = code[k] - mean[k];
        squares += (int64_t)apart * apart;
    }
    return squares ? (int32_t)root((uint64_t)squares) : 0;
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
    /* Whole deviations are divided out first, so every value fits into a word. */
    uint32_t whole = length / spread, rest = (length - whole * spread) * ONE;
    if (apart >= 0) {
        return BELOW + whole * ONE + rest / spread;
    }
    return BELOW - whole * ONE - (rest + spread - 1) / spread;
}

static int32_t joined(const auricle_extract *e, const int32_t *distances, const int32_t *scales)
{
    if (e->blocks == 1 && e->votes[0] == 1) {
        return (int32_t)above(distances[0], scales);
    }
    uint64_t squares = 0;
    for (uint32_t block = 0; block < e->blocks; block++) {
        uint64_t one = above(distances[block], scales + 2 * block);
        squares += one * one * e->votes[block];
    }
    return squares ? (int32_t)root(squares) : 0;
}

void auricle_detect(const auricle_extract *e, const uint8_t *features, const uint32_t *bits,
                    void *work, auricle_decision *decision)
{
    int32_t nearest = AURICLE_SCORE_MAX, lowest = AURICLE_SCORE_MAX, distances[BLOCKS_MAX];
    uint32_t words = e->bits / 32, domain = e->domains, concept = 0;
    int takes = 0;
    if (e->plane.rank) {
        plane_code(&e->plane, features + e->plane.start, work);
    }
    decision->concept = 0;
    for (uint32_t c = 0; c < e->concepts; c++) {
        uint32_t block = 1, mine = e->table[c] & 0xFFFFu;
        distances[0] = (int32_t)auricle_differing(e->majorities + c * words, bits, words);
        if (e->columns.count) {
            distances[block++] = columns_distance(&e->columns, features + e->columns.start, c);
        }
        if (e->plane.rank) {
            distances[block++] = plane_distance(&e->plane, work, c);
        }
        /* The nearest concept on the common scale decides the domain; the scales of its concepts
         * decide the novelty and the label there.  Concepts of a domain are adjacent. */
        if (mine != domain) {
            domain = mine;
            takes = 0;
            lowest = AURICLE_SCORE_MAX;
        }
        int32_t own = joined(e, distances, e->scales + 2 * e->blocks * c);
        int32_t common = joined(e, distances, e->common);
        if (own < lowest) {
            lowest = own;
            concept = c;
        }
        if (common < nearest) {
            nearest = common;
            takes = 1;
        }
        if (takes) {
            decision->concept = (uint16_t)concept;
            decision->score = lowest;
        }
    }
    decision->domain = (uint16_t)(e->table[decision->concept] & 0xFFFFu);
    decision->label = (uint16_t)(e->table[decision->concept] >> 16);
    decision->answer = decision->label;
    int32_t limit = e->limits[decision->domain];
    decision->known = limit < 0 ? AURICLE_UNDECIDED : decision->score <= limit;
}

/* --- answer ---------------------------------------------------------------------------------- */

void auricle_answer(const auricle_extract *e, const uint8_t *features, void *work,
                    auricle_decision *decision)
{
    const uint32_t *head = e->heads + AURICLE_HEAD_WORDS * decision->domain;
    const uint8_t *rows = (const uint8_t *)(e->words + head[2]);
    const int32_t *bias = (const int32_t *)(e->words + head[3]);
    const factors by = {features, (const uint8_t *)(e->words + head[5]), e->levels, e->width,
                        head[1] ? HALVES : BYTES};
    uint32_t labels = head[0], best = 0;
    int32_t most = 0, sums[4];
    if (labels == 0) {
        return;
    }
    const int32_t *more = e->random ? e->random(e, features, work) : NULL;
    for (uint32_t at = 0; at < labels; at += 4) {
        uint32_t count = labels - at < 4 ? labels - at : 4;
        dot4(sums, &by, rows + (at >> head[1]) * e->width, count);
        for (uint32_t k = 0; k < count; k++) {
            int32_t score = sums[k] + bias[at + k] + (more ? more[at + k] : 0);
            if (at + k == 0 || score > most) {
                most = score;
                best = at + k;
            }
        }
    }
    decision->answer = (uint16_t)e->words[head[4] + best];
}

void auricle_decide(const auricle_extract *e, const uint8_t *features, uint32_t *bits, void *work,
                    auricle_decision *decision)
{
    auricle_project(e, features, bits, work);
    auricle_detect(e, features, bits, work, decision);
    auricle_answer(e, features, work, decision);
}
