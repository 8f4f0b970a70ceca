/* Opens an extract: checks all sections, so later reads stay in bounds. */
#include "auricle_detector_parts.h"

#include <stddef.h>

#define LARGE 65536u /* largest width, number of bits and of concepts */
#define RANK_MAX 512u
#define SHIFT_MAX 15u

const void *auricle_section(auricle_image *from, uint32_t place, uint32_t items, uint32_t size)
{
    uint32_t at = from->words[place];
    if (at < HEADER || at > from->count || items > (from->count - at) * 4 / size) {
        from->fits = 0;
        return NULL;
    }
    return from->words + at;
}

static int product_fits(uint32_t one, uint32_t other)
{
    return one == 0 || other <= 0x3FFFFFFFu / one;
}

static int read_shape(auricle_extract *e, const uint32_t *w)
{
    uint32_t blocks = 1u + (w[COLUMNS] != 0) + (w[PLANE] != 0);
    e->width = w[WIDTH];
    e->tap_start = w[TAP_START];
    e->tap.width = w[TAP_WIDTH];
    e->tap.bits = w[BITS];
    e->concepts = w[CONCEPTS];
    e->domains = w[DOMAINS];
    e->work_bytes = w[WORK];
    e->blocks = blocks;
    for (uint32_t block = 0; block < 4; block++) {
        e->votes[block] = (uint8_t)(w[VOTES] >> 8 * block);
    }
    for (e->tap.padded = 1; e->tap.padded < e->tap.width && e->tap.padded < LARGE;) {
        e->tap.padded *= 2;
    }
    return e->width <= LARGE && e->tap.width > 1 && e->tap_start <= e->width
        && e->tap.width <= e->width - e->tap_start && e->tap.bits && e->tap.bits % 256 == 0
        && e->tap.bits <= LARGE && e->concepts && e->concepts < LARGE && e->domains
        && e->domains < LARGE && e->work_bytes % 4 == 0;
}

static uint32_t project_words(const auricle_extract *e)
{
    return e->tap.padded / 2 + (e->tap.padded > 128 ? e->tap.padded / 128 : 2);
}

static int scales_fit(const int32_t *scales, uint32_t count)
{
    for (uint32_t at = 0; at < count; at++) {
        if (scales[2 * at] < 0 || scales[2 * at + 1] < 1 || scales[2 * at + 1] >= 1 << 22) {
            return 0;
        }
    }
    return 1;
}

static void shifts_fit(auricle_image *from, const uint8_t *shifts, uint32_t count)
{
    for (uint32_t at = 0; shifts != NULL && at < count; at++) {
        if (shifts[at] > SHIFT_MAX) {
            from->fits = 0;
        }
    }
}

/* Checks that concepts name existing domains, in order, and that the sections of heads fit. */
static int tables_fit(auricle_image *from, const auricle_extract *e)
{
    uint32_t last = 0, labels = from->words[LABELS];
    for (uint32_t c = 0; c < e->concepts; c++) {
        uint32_t domain = e->table[c] & 0xFFFFu;
        if (domain < last || domain >= e->domains || e->table[c] >> 16 >= labels) {
            return 0;
        }
        last = domain;
    }
    for (uint32_t d = 0; d < e->domains; d++) {
        const uint32_t *head = e->heads + AURICLE_HEAD_WORDS * d;
        uint32_t place = (uint32_t)(head - from->words);
        if (head[0] == 0) {
            continue;
        }
        if (head[1] > 1 || !product_fits(head[0], e->width)) {
            return 0;
        }
        auricle_section(from, place + 2, (head[0] + head[1]) / (1 + head[1]) * e->width, 1);
        auricle_section(from, place + 3, head[0], 4);
        auricle_section(from, place + 4, head[0], 4);
        shifts_fit(from, auricle_section(from, place + 5, e->width, 1), e->width);
    }
    return from->fits;
}

static void read_columns(auricle_image *from, auricle_extract *e)
{
    auricle_columns *c = &e->columns;
    const uint32_t *table = auricle_section(from, COLUMNS, 5, 4);
    if (table == NULL) {
        return;
    }
    uint32_t place = (uint32_t)(table - from->words);
    c->start = table[0];
    c->count = table[1];
    c->wide = table[2];
    if (!c->count || c->start > e->width || c->count > e->width - c->start || c->wide > 1
        || !product_fits(e->concepts, c->count)) {
        from->fits = 0;
        return;
    }
    c->gains = auricle_section(from, place + 3, c->count, 2);
    c->means = auricle_section(from, place + 4, e->concepts * c->count, 2u << c->wide);
}

static void read_plane(auricle_image *from, auricle_extract *e)
{
    auricle_plane *p = &e->plane;
    const uint32_t *table = auricle_section(from, PLANE, 15, 4);
    if (table == NULL) {
        return;
    }
    uint32_t place = (uint32_t)(table - from->words);
    p->start = table[0];
    p->count = table[1];
    p->rank = table[2];
    p->wide = table[3];
    p->rest = (int64_t)(table[4] | (uint64_t)table[5] << 32);
    p->fixed = table[6];
    if (!p->count || p->start > e->width || p->count > e->width - p->start || !p->rank
        || p->rank > RANK_MAX || p->wide < 1 || p->wide > 2 || p->rest < 0 || p->fixed > INT32_MAX
        || p->rest > (int64_t)1 << 37 || e->work_bytes / 4 < p->rank + 1) {
        from->fits = 0;
        return;
    }
    p->scale = auricle_section(from, place + 7, p->count, 2);
    p->zeros = auricle_section(from, place + 8, p->count, 2);
    p->axes = auricle_section(from, place + 9, p->rank * p->count, 1u << p->wide);
    p->offset = auricle_section(from, place + 10, p->rank, 4);
    p->gains = auricle_section(from, place + 11, p->rank, 4);
    p->centre = auricle_section(from, place + 12, p->rank, 4);
    p->lengths = auricle_section(from, place + 13, p->rank, 4);
    p->means = auricle_section(from, place + 14, e->concepts * p->rank, 4);
}

static int read_sections(auricle_image *from, auricle_extract *e)
{
    uint32_t scales = e->concepts * e->blocks;
    /* Whole rounds; `padded` is a power of two. */
    uint32_t flips = (e->tap.bits + e->tap.padded - 1) & (0u - e->tap.padded);
    e->tap.flips = auricle_section(from, FLIPS, flips / 32, 4);
    e->majorities = auricle_section(from, MAJORITIES, e->concepts * (e->tap.bits / 32), 4);
    e->table = auricle_section(from, TABLE, e->concepts, 4);
    e->scales = auricle_section(from, SCALES, 2 * scales, 4);
    e->common = auricle_section(from, COMMON, 2 * e->blocks, 4);
    e->limits = auricle_section(from, LIMITS, e->domains, 4);
    e->heads = auricle_section(from, HEADS, AURICLE_HEAD_WORDS * e->domains, 4);
    e->levels = auricle_section(from, LEVELS, 256, 2);
    e->columns.count = 0;
    if (from->words[COLUMNS]) {
        read_columns(from, e);
    }
    e->plane.rank = 0;
    if (from->words[PLANE]) {
        read_plane(from, e);
    }
    return from->fits && scales_fit(e->scales, scales) && scales_fit(e->common, e->blocks)
        && tables_fit(from, e);
}

int auricle_open_as(auricle_extract *extract, auricle_image *from, uint32_t bytes, uint32_t magic)
{
    const uint32_t *words = from->words;
    uint32_t sum = 0;
    from->fits = 1;
    if (bytes < 4 * HEADER || ((uintptr_t)words & 3) || words[MAGIC] != magic
        || words[WORDS] < HEADER || words[WORDS] > bytes / 4) {
        return AURICLE_NOT_AN_EXTRACT;
    }
    from->count = words[WORDS];
    for (uint32_t at = 0; at < from->count; at++) {
        sum += words[at];
    }
    if (sum) {
        return AURICLE_DAMAGED;
    }
    extract->words = words;
    extract->random = NULL;
    if (!read_shape(extract, words) || extract->work_bytes / 4 < project_words(extract)
        || !read_sections(from, extract)) {
        return AURICLE_INCONSISTENT;
    }
    return AURICLE_OK;
}

int auricle_open(auricle_extract *extract, const void *words, uint32_t bytes)
{
    auricle_image from = {words, 0, 1};
    return auricle_open_as(extract, &from, bytes, AURICLE_MAGIC);
}
