/* The detector in straightforward C99, one loop per step.  Hypervectors and 8-bit heads only. */
#include "plain_detector.h"

void plain_project(const auricle_extract *e, const uint8_t *features, uint32_t *bits,
                   int32_t *sums)
{
    for (uint32_t word = 0; word < e->tap.bits / 32; word++) {
        bits[word] = 0;
    }
    for (uint32_t start = 0; start < e->tap.bits; start += e->tap.padded) {
        for (uint32_t i = 0; i < e->tap.padded; i++) {
            int32_t value = i < e->tap.width ? features[e->tap_start + i] : 0;
            uint32_t at = start + i;
            sums[i] = e->tap.flips[at / 32] >> at % 32 & 1 ? -value : value;
        }
        for (uint32_t step = 1; step < e->tap.padded; step *= 2) {
            for (uint32_t block = 0; block < e->tap.padded; block += 2 * step) {
                for (uint32_t i = block; i < block + step; i++) {
                    int32_t one = sums[i], other = sums[i + step];
                    sums[i] = one + other;
                    sums[i + step] = one - other;
                }
            }
        }
        for (uint32_t i = 0; i < e->tap.padded && start + i < e->tap.bits; i++) {
            if (sums[i] < 0) {
                bits[(start + i) / 32] |= 1u << (start + i) % 32;
            }
        }
    }
}

static uint32_t ones_in(uint32_t x)
{
    x = x - ((x >> 1) & 0x55555555u);
    x = (x & 0x33333333u) + ((x >> 2) & 0x33333333u);
    x = (x + (x >> 4)) & 0x0F0F0F0Fu;
    return (x * 0x01010101u) >> 24;
}

static int32_t above(int64_t distance, const int32_t *scale)
{
    int64_t apart = (distance - scale[0]) * 1024, spread = scale[1];
    int64_t made = apart >= 0 ? apart / spread : -((-apart + spread - 1) / spread);
    made += 2048;
    return made < 0 ? 0 : made > 65536 ? 65536 : (int32_t)made;
}

void plain_detect(const auricle_extract *e, const uint32_t *bits, auricle_decision *decision)
{
    uint32_t words = e->tap.bits / 32, domain = 0;
    int32_t nearest = AURICLE_SCORE_MAX, lowest = AURICLE_SCORE_MAX;
    uint32_t distances[256];
    for (uint32_t c = 0; c < e->concepts; c++) {
        distances[c] = 0;
        for (uint32_t word = 0; word < words; word++) {
            distances[c] += ones_in(e->majorities[c * words + word] ^ bits[word]);
        }
        int32_t score = above(distances[c], e->common);
        if (score < nearest) {
            nearest = score;
            domain = e->table[c] & 0xFFFFu;
        }
    }
    for (uint32_t c = 0; c < e->concepts; c++) {
        if ((e->table[c] & 0xFFFFu) == domain) {
            int32_t score = above(distances[c], e->scales + 2 * c);
            if (score < lowest) {
                lowest = score;
                decision->concept = (uint16_t)c;
            }
        }
    }
    decision->score = lowest;
    decision->domain = (uint16_t)domain;
    decision->label = (uint16_t)(e->table[decision->concept] >> 16);
    decision->known = e->limits[domain] < 0 ? AURICLE_UNDECIDED : lowest <= e->limits[domain];
}

void plain_answer(const auricle_extract *e, const uint8_t *features, auricle_decision *decision)
{
    const uint32_t *head = e->heads + AURICLE_HEAD_WORDS * decision->domain;
    const int8_t *weights = (const int8_t *)(e->words + head[2]);
    const int32_t *bias = (const int32_t *)(e->words + head[3]);
    const uint8_t *shifts = (const uint8_t *)(e->words + head[5]);
    int32_t most = 0;
    for (uint32_t label = 0; label < head[0]; label++) {
        int32_t sum = bias[label];
        for (uint32_t i = 0; i < e->width; i++) {
            sum += weights[label * e->width + i] * (e->levels[features[i]] << shifts[i]);
        }
        if (label == 0 || sum > most) {
            most = sum;
            decision->answer = (uint16_t)e->words[head[4] + label];
        }
    }
}
