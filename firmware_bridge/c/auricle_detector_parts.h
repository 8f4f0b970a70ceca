/* Internals shared by the files of the detector; not for applications. */
#ifndef AURICLE_DETECTOR_PARTS_H
#define AURICLE_DETECTOR_PARTS_H

#include "auricle_detector.h"

/* Positions of words in an extract's header; for a section, of its offset. */
enum auricle_place {
    MAGIC, WORDS, SUM, WIDTH, TAP_START, TAP_WIDTH, BITS, CONCEPTS, DOMAINS, LABELS, VOTES, WORK,
    FLIPS, MAJORITIES, TABLE, SCALES, COMMON, LIMITS, HEADS, LEVELS, COLUMNS, PLANE, SEED,
    RANDOM = 24,
    HEADER = 32
};

typedef struct {
    const uint32_t *words;
    uint32_t count;
    int fits; /* 0 once a section is out of bounds */
} auricle_image;

/* Returns a section of `items` items of `size` bytes, whose offset is in the word `place`. */
const void *auricle_section(auricle_image *from, uint32_t place, uint32_t items, uint32_t size);

/* Like auricle_open, for an extract with this magic number; `from`: for further sections. */
int auricle_open_as(auricle_extract *extract, auricle_image *from, uint32_t bytes, uint32_t magic);

#endif
