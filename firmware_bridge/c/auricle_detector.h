/* The exported detector: from features to hypervector, verdict, route and answer, in integers.
 *
 * C99, no malloc, no float, only string.h.  An extract is a block of little-endian words written by
 * `auricle export-c`, in flash, in an update slot, or in RAM.
 * All results equal those of firmware_bridge/evaluator.py, bit for bit.
 */
#ifndef AURICLE_DETECTOR_H
#define AURICLE_DETECTOR_H

#include "auricle_kernel.h"

#include <stdint.h>

#define AURICLE_MAGIC 0x31525541u        /* "AUR1" */
#define AURICLE_MAGIC_RANDOM 0x32525541u /* "AUR2": the head uses random features */
#define AURICLE_SCORE_MAX 0x7FFFFFFF
#define AURICLE_HEAD_WORDS 6u

enum auricle_known {
    AURICLE_NEW = 0,
    AURICLE_KNOWN = 1,
    AURICLE_UNDECIDED = 2 /* too few samples of the domain for the false-alarm rate */
};

enum auricle_error {
    AURICLE_OK = 0,
    AURICLE_NOT_AN_EXTRACT = 1, /* magic, size, alignment or byte order */
    AURICLE_DAMAGED = 2,        /* wrong checksum */
    AURICLE_INCONSISTENT = 3    /* a section is out of bounds */
};

typedef struct auricle_extract auricle_extract;

/* Computes what random features add to the score of each label, in `work`. */
typedef const int32_t *auricle_adder(const auricle_extract *extract, const uint8_t *features,
                                     void *work);

/* An opened extract: pointers into its words, which must not move. */
struct auricle_extract {
    const uint32_t *words;
    uint32_t width, tap_start, concepts, domains, blocks;
    uint32_t work_bytes;
    uint8_t votes[4];
    auricle_tap tap;
    const uint32_t *majorities; /* [concepts][bits / 32] */
    const uint32_t *table;      /* per concept: domain in the low half, label in the high one */
    const int32_t *scales;      /* [concepts][blocks][2]: mean and deviation of the distance */
    const int32_t *common;      /* [blocks][2] */
    const int32_t *limits;      /* per domain, highest score of a known sample; -1: undecided */
    const uint32_t *heads;      /* [domains][AURICLE_HEAD_WORDS]: number of labels, 1 for
                                 * 4-bit weights, offsets of weights, bias, names, shifts */
    const uint16_t *levels;     /* [256], input of heads for each feature level */
    auricle_columns columns;
    auricle_plane plane;
    auricle_adder *random; /* NULL without random features */
};

typedef struct {
    int32_t score;    /* novelty, 1,024 a unit */
    uint16_t concept; /* the nearest one of the domain */
    uint16_t domain;  /* the route */
    uint16_t label;   /* of the concept */
    uint16_t answer;  /* of the domain's head; without a head, the concept's label */
    uint8_t known;    /* enum auricle_known */
} auricle_decision;

/* Checks an extract of at most `bytes` bytes (4-byte aligned) and fills in the pointers. */
int auricle_open(auricle_extract *extract, const void *words, uint32_t bytes);

/* The same for an extract that may have random features; needs auricle_random.c. */
int auricle_open_random(auricle_extract *extract, const void *words, uint32_t bytes);

/* Computes the hypervector, bits / 32 words, of `width` features.  work: extract->work_bytes bytes,
 * 4-byte aligned. */
void auricle_project(const auricle_extract *extract, const uint8_t *features, uint32_t *bits,
                     void *work);

/* Computes verdict and route of a sample with its hypervector, but not `answer`. */
void auricle_detect(const auricle_extract *extract, const uint8_t *features, const uint32_t *bits,
                    void *work, auricle_decision *decision);

/* Computes `answer`: the number of the likeliest label in the decision's domain. */
void auricle_answer(const auricle_extract *extract, const uint8_t *features, void *work,
                    auricle_decision *decision);

/* Does all three.  bits: receives the hypervector. */
void auricle_decide(const auricle_extract *extract, const uint8_t *features, uint32_t *bits,
                    void *work, auricle_decision *decision);

#endif
