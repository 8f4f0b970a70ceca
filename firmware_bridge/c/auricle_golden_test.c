/* Decides on the golden vectors of an export and counts the decisions that differ. */
#include "auricle_detector.h"
#include "auricle_knowledge.h"

#include <string.h>

/* Returns the number of golden vectors that differ; -1 if the extract does not open. */
int auricle_golden_test(void)
{
    static uint32_t record[AURICLE_GOLDEN_WORDS], work[AURICLE_WORK_WORDS];
    auricle_extract extract;
    auricle_decision made;
    int wrong = 0;
    if (AURICLE_OPEN(&extract, auricle_knowledge, sizeof auricle_knowledge) != AURICLE_OK) {
        return -1;
    }
    for (int n = 0; n < AURICLE_GOLDEN; n++) {
        auricle_decide(&extract, auricle_golden_features[n], record, work, &made);
        uint32_t rest[6] = {(uint32_t)made.score, made.concept, made.domain,
                            made.label,           made.answer,  made.known};
        memcpy(record + AURICLE_HYPERVECTOR_WORDS, rest, sizeof rest);
        wrong += memcmp(record, auricle_golden_expected[n], sizeof record) != 0;
    }
    return wrong;
}
