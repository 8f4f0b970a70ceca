/* What the files of the detector share among themselves; an application needs none of it. */
#ifndef AURICLE_DETECTOR_PARTS_H
#define AURICLE_DETECTOR_PARTS_H

#include "auricle_detector.h"

/* Words of an extract's header: what each holds, of a section where it starts. */
enum auricle_place {
    MAGIC, WORDS, SUM, WIDTH, TAP_START, TAP_WIDTH, BITS, CONCEPTS, DOMAINS, LABELS, VOTES, WORK,
    FLIPS, MAJORITIES, TABLE, SCALES, COMMON, LIMITS, HEADS, LEVELS, COLUMNS, PLANE, SEED,
    RANDOM = 24,
    HEADER = 32
};

typedef struct {
    const uint32_t *words;
    uint32_t count;
    int fits; /* 0 from the first section on that does not */
} auricle_image;

/* A section of `items` items of `size` bytes, which the word `place` says where to find. */
const void *auricle_section(auricle_image *from, uint32_t place, uint32_t items, uint32_t size);

/* As auricle_open, of an extract that begins with `magic`; `from`: for further sections. */
int auricle_open_as(auricle_extract *extract, auricle_image *from, uint32_t bytes, uint32_t magic);

/* The Hadamard transform of `size` words, a power of two from 2 on. */
void auricle_hadamard(uint32_t *values, uint32_t size);

#endif
