/* Concepts, verdict, route and answer. */
#include "auricle_detector.h"

#include <stddef.h>

#define BLOCKS_MAX 3u

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

static int32_t joined(const auricle_extract *e, const int32_t *distances, const int32_t *scales)
{
    return auricle_joined(distances, scales, e->votes, e->blocks);
}

void auricle_project(const auricle_extract *e, const uint8_t *features, uint32_t *bits, void *work)
{
    auricle_rounds(&e->tap, features + e->tap_start, bits, work);
}

void auricle_detect(const auricle_extract *e, const uint8_t *features, const uint32_t *bits,
                    void *work, auricle_decision *decision)
{
    int32_t nearest = AURICLE_SCORE_MAX, lowest = AURICLE_SCORE_MAX, distances[BLOCKS_MAX];
    uint32_t words = e->tap.bits / 32, domain = e->domains, concept = 0;
    int takes = 0;
    if (e->plane.rank) {
        auricle_plane_code(&e->plane, features + e->plane.start, work);
    }
    decision->concept = 0;
    for (uint32_t c = 0; c < e->concepts; c++) {
        uint32_t block = 1, mine = e->table[c] & 0xFFFFu;
        distances[0] = (int32_t)auricle_differing(e->majorities + c * words, bits, words);
        if (e->columns.count) {
            distances[block++] = columns_distance(&e->columns, features + e->columns.start, c);
        }
        if (e->plane.rank) {
            const int32_t *mean = e->plane.means + c * e->plane.rank;
            distances[block++] = (int32_t)auricle_plane_distance(work, mean, e->plane.rank);
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
    const auricle_factors by = {features, (const uint8_t *)(e->words + head[5]), e->levels, e->width,
                                head[1] ? AURICLE_HALVES : AURICLE_BYTES};
    uint32_t labels = head[0], best = 0;
    int32_t most = 0, sums[4];
    if (labels == 0) {
        return;
    }
    const int32_t *more = e->random ? e->random(e, features, work) : NULL;
    for (uint32_t at = 0; at < labels; at += 4) {
        uint32_t count = labels - at < 4 ? labels - at : 4;
        auricle_products(sums, &by, rows + (at >> head[1]) * e->width, count);
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
