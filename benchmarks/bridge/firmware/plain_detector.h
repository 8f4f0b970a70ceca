/* The same decision in straightforward C, as a baseline. */
#ifndef PLAIN_DETECTOR_H
#define PLAIN_DETECTOR_H

#include "auricle_detector.h"

/* sums: padded words. */
void plain_project(const auricle_extract *e, const uint8_t *features, uint32_t *bits,
                   int32_t *sums);
void plain_detect(const auricle_extract *e, const uint32_t *bits, auricle_decision *decision);
void plain_answer(const auricle_extract *e, const uint8_t *features, auricle_decision *decision);

#endif
