/* The exported detector: features in, hypervector, verdict, route and answer out, all in integers.
 *
 * C99, no malloc, no float, nothing but string.h.  An extract is a block of little-endian words
 * that `auricle export-c` writes; it may lie in flash, in a slot that an update filled, or in RAM.
 * Every number here equals what firmware_bridge/evaluator.py computes, bit for bit.
 */
#ifndef AURICLE_DETECTOR_H
#define AURICLE_DETECTOR_H

#include <stdint.h>

#define AURICLE_MAGIC 0x31525541u        /* "AUR1" */
#define AURICLE_MAGIC_RANDOM 0x32525541u /* "AUR2": the head takes random features too */
#define AURICLE_SCORE_MAX 0x7FFFFFFF
#define AURICLE_HEAD_WORDS 6u

enum auricle_known {
    AURICLE_NEW = 0,
    AURICLE_KNOWN = 1,
    AURICLE_UNDECIDED = 2 /* too few samples of the domain for the rate that was ordered */
};

enum auricle_error {
    AURICLE_OK = 0,
    AURICLE_NOT_AN_EXTRACT = 1, /* magic, size, alignment or byte order */
    AURICLE_DAMAGED = 2,        /* the sum of the words */
    AURICLE_INCONSISTENT = 3    /* a section that does not fit */
};

/* The columns block: every feature times its gain, city-block distance. */
typedef struct {
    uint32_t start, count, wide;
    const uint16_t *gains;
    const void *means; /* [concepts][count], uint16 or, where wide, uint32 */
} auricle_columns;

/* The plane block: whitened directions of a tap after division by its norm, and what lies outside. */
typedef struct {
    uint32_t start, count, rank, wide;
    int64_t rest;
    const uint16_t *scale;
    const int16_t *zeros;
    const void *axes; /* [rank][count], int16 or, where wide, int32 */
    const int32_t *offset, *gains, *centre, *lengths;
    const int32_t *means; /* [concepts][rank] */
} auricle_plane;

typedef struct auricle_extract auricle_extract;

/* What random features add to the score of each label; the numbers lie in `work`. */
typedef const int32_t *auricle_adder(const auricle_extract *extract, const uint8_t *features,
                                     void *work);

/* An opened extract: pointers into its words, which must stay where they are. */
struct auricle_extract {
    const uint32_t *words;
    uint32_t width, tap_start, tap_width, padded, bits, concepts, domains, blocks;
    uint32_t work_bytes;
    uint8_t votes[4];
    const uint32_t *flips;
    const uint32_t *majorities; /* [concepts][bits / 32] */
    const uint32_t *table;      /* per concept: domain in the low half, label in the high one */
    const int32_t *scales;      /* [concepts][blocks][2]: usual distance, spread */
    const int32_t *common;      /* [blocks][2] */
    const int32_t *limits;      /* per domain, the highest score that is known; -1: undecided */
    const uint32_t *heads;      /* [domains][AURICLE_HEAD_WORDS]: number of labels, 1 where
                                 * weights have 4 bits, places of weights, bias, names, shifts */
    const uint16_t *levels;     /* [256], what a head takes for a feature of each level */
    auricle_columns columns;
    auricle_plane plane;
    auricle_adder *random; /* NULL without random features */
};

typedef struct {
    int32_t score;    /* how new, 1,024 a unit */
    uint16_t concept; /* the nearest of its domain */
    uint16_t domain;  /* the route */
    uint16_t label;   /* of the concept */
    uint16_t answer;  /* of the domain's head; the concept's label where it has none */
    uint8_t known;    /* enum auricle_known */
} auricle_decision;

/* Check an extract of at most `bytes` bytes (4-byte aligned) and point into it. */
int auricle_open(auricle_extract *extract, const void *words, uint32_t bytes);

/* The same of an extract that may have random features; needs auricle_random.c. */
int auricle_open_random(auricle_extract *extract, const void *words, uint32_t bytes);

/* The hypervector, bits / 32 words, of `width` features.  work: extract->work_bytes, 4-aligned. */
void auricle_project(const auricle_extract *extract, const uint8_t *features, uint32_t *bits,
                     void *work);

/* Verdict and route of a sample with its hypervector; `answer` is left to auricle_answer. */
void auricle_detect(const auricle_extract *extract, const uint8_t *features, const uint32_t *bits,
                    void *work, auricle_decision *decision);

/* The number of the likeliest label in the decision's domain. */
void auricle_answer(const auricle_extract *extract, const uint8_t *features, void *work,
                    auricle_decision *decision);

/* All three.  bits: where the hypervector is left. */
void auricle_decide(const auricle_extract *extract, const uint8_t *features, uint32_t *bits,
                    void *work, auricle_decision *decision);

/* In how many bits two hypervectors of `words` words, a multiple of 8, differ. */
uint32_t auricle_differing(const uint32_t *one, const uint32_t *other, uint32_t words);

#endif
