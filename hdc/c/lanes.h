/* The operations on vector registers that the hot path needs, for each instruction set that it is
 * compiled for; AURICLE_LANES is defined where there are any.  Everything is whole numbers: the
 * result does not depend on how many lanes a register has. */
#ifndef AURICLE_LANES_H
#define AURICLE_LANES_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512BW__) && defined(__AVX512VPOPCNTDQ__)
#include <immintrin.h>

#define AURICLE_LANES 32 /* 16-bit numbers in a register */
typedef __m512i lanes;

static inline lanes lanes_zero(void) { return _mm512_setzero_si512(); }
static inline lanes lanes_load(const void *from) { return _mm512_loadu_si512(from); }
static inline void lanes_store(void *to, lanes a) { _mm512_storeu_si512(to, a); }
static inline lanes lanes_of_bytes(const uint8_t *from)
{
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)from));
}
static inline lanes lanes_add16(lanes a, lanes b) { return _mm512_add_epi16(a, b); }
static inline lanes lanes_sub16(lanes a, lanes b) { return _mm512_sub_epi16(a, b); }
static inline lanes lanes_apart16(lanes a, lanes b) /* |a - b| of unsigned numbers */
{
    return _mm512_or_si512(_mm512_subs_epu16(a, b), _mm512_subs_epu16(b, a));
}
static inline lanes lanes_pairs(lanes a, lanes b) { return _mm512_madd_epi16(a, b); }
static inline lanes lanes_sum_pairs(lanes a) /* of unsigned numbers, to 32 bits */
{
    return _mm512_add_epi32(_mm512_srli_epi32(a, 16),
                            _mm512_and_si512(a, _mm512_set1_epi32(0xFFFF)));
}
static inline lanes lanes_add32(lanes a, lanes b) { return _mm512_add_epi32(a, b); }
static inline uint32_t lanes_total32(lanes a) { return (uint32_t)_mm512_reduce_add_epi32(a); }
/* Negates the numbers whose flip is set; lane k has bit k. */
static inline lanes lanes_flip(lanes a, const uint8_t *flips)
{
    uint32_t mask;
    memcpy(&mask, flips, sizeof mask);
    return _mm512_mask_sub_epi16(a, mask, _mm512_setzero_si512(), a);
}
/* One stage of a Hadamard transform within the register. */
#define LANES_STAGE(a, swapped, upper) \
    _mm512_mask_sub_epi16(_mm512_add_epi16(a, swapped), upper, swapped, a)
static inline lanes lanes_stage(lanes a, unsigned distance)
{
    switch (distance) {
    case 1: return LANES_STAGE(a, _mm512_rol_epi32(a, 16), 0xAAAAAAAAu);
    case 2: return LANES_STAGE(a, _mm512_shuffle_epi32(a, _MM_PERM_CDAB), 0xCCCCCCCCu);
    case 4: return LANES_STAGE(a, _mm512_shuffle_epi32(a, _MM_PERM_BADC), 0xF0F0F0F0u);
    case 8: return LANES_STAGE(a, _mm512_shuffle_i64x2(a, a, 0xB1), 0xFF00FF00u);
    default: return LANES_STAGE(a, _mm512_shuffle_i64x2(a, a, 0x4E), 0xFFFF0000u);
    }
}
/* Signs of 16 numbers of 16 or 32 bits. */
static inline uint16_t lanes_signs16(const int16_t *a)
{
    __m256i held = _mm256_loadu_si256((const __m256i *)(const void *)a);
    return (uint16_t)_mm256_movepi16_mask(held);
}
static inline uint16_t lanes_signs32(const int32_t *a)
{
    return (uint16_t)_mm512_movepi32_mask(_mm512_loadu_si512(a));
}

#elif defined(__AVX2__)
#include <immintrin.h>

#define AURICLE_LANES 16
typedef __m256i lanes;

static inline lanes lanes_zero(void) { return _mm256_setzero_si256(); }
static inline lanes lanes_load(const void *from)
{
    return _mm256_loadu_si256((const __m256i *)from);
}
static inline void lanes_store(void *to, lanes a) { _mm256_storeu_si256((__m256i *)to, a); }
static inline lanes lanes_of_bytes(const uint8_t *from)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)from));
}
static inline lanes lanes_add16(lanes a, lanes b) { return _mm256_add_epi16(a, b); }
static inline lanes lanes_sub16(lanes a, lanes b) { return _mm256_sub_epi16(a, b); }
static inline lanes lanes_apart16(lanes a, lanes b)
{
    return _mm256_or_si256(_mm256_subs_epu16(a, b), _mm256_subs_epu16(b, a));
}
static inline lanes lanes_pairs(lanes a, lanes b) { return _mm256_madd_epi16(a, b); }
static inline lanes lanes_sum_pairs(lanes a)
{
    return _mm256_add_epi32(_mm256_srli_epi32(a, 16),
                            _mm256_and_si256(a, _mm256_set1_epi32(0xFFFF)));
}
static inline lanes lanes_add32(lanes a, lanes b) { return _mm256_add_epi32(a, b); }
static inline uint32_t lanes_total32(lanes a)
{
    __m128i b = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    b = _mm_add_epi32(b, _mm_shuffle_epi32(b, 0x4E));
    b = _mm_add_epi32(b, _mm_shuffle_epi32(b, 0xB1));
    return (uint32_t)_mm_cvtsi128_si32(b);
}
static inline lanes lanes_flip(lanes a, const uint8_t *flips)
{
    const __m256i bit = _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096,
                                          8192, 16384, INT16_MIN);
    uint16_t mask;
    memcpy(&mask, flips, sizeof mask);
    __m256i set = _mm256_cmpeq_epi16(_mm256_and_si256(_mm256_set1_epi16((int16_t)mask), bit), bit);
    return _mm256_sub_epi16(_mm256_xor_si256(a, set), set);
}
/* The upper numbers of each exchange are negated before the sum. */
#define LANES_STAGE(a, swapped, ...) \
    _mm256_add_epi16(swapped, _mm256_sign_epi16(a, _mm256_setr_epi16(__VA_ARGS__)))
static inline lanes lanes_stage(lanes a, unsigned distance)
{
    const __m256i next = _mm256_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13, 2,
                                          3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
    switch (distance) {
    case 1:
        return LANES_STAGE(a, _mm256_shuffle_epi8(a, next), 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1,
                           -1, 1, -1, 1, -1);
    case 2:
        return LANES_STAGE(a, _mm256_shuffle_epi32(a, 0xB1), 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1,
                           -1, 1, 1, -1, -1);
    case 4:
        return LANES_STAGE(a, _mm256_shuffle_epi32(a, 0x4E), 1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1,
                           1, -1, -1, -1, -1);
    default:
        return LANES_STAGE(a, _mm256_permute4x64_epi64(a, 0x4E), 1, 1, 1, 1, 1, 1, 1, 1, -1, -1,
                           -1, -1, -1, -1, -1, -1);
    }
}
static inline uint16_t lanes_signs16(const int16_t *a)
{
    const __m128i *p = (const __m128i *)(const void *)a;
    return (uint16_t)_mm_movemask_epi8(_mm_packs_epi16(_mm_loadu_si128(p), _mm_loadu_si128(p + 1)));
}
static inline uint16_t lanes_signs32(const int32_t *a)
{
    const __m128i *p = (const __m128i *)(const void *)a;
    __m128i low = _mm_packs_epi32(_mm_loadu_si128(p), _mm_loadu_si128(p + 1));
    __m128i high = _mm_packs_epi32(_mm_loadu_si128(p + 2), _mm_loadu_si128(p + 3));
    return (uint16_t)_mm_movemask_epi8(_mm_packs_epi16(low, high));
}

#elif defined(__SSE4_2__)
#include <nmmintrin.h>

#define AURICLE_LANES 8
typedef __m128i lanes;

static inline lanes lanes_zero(void) { return _mm_setzero_si128(); }
static inline lanes lanes_load(const void *from) { return _mm_loadu_si128((const __m128i *)from); }
static inline void lanes_store(void *to, lanes a) { _mm_storeu_si128((__m128i *)to, a); }
static inline lanes lanes_of_bytes(const uint8_t *from)
{
    return _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)(const void *)from));
}
static inline lanes lanes_add16(lanes a, lanes b) { return _mm_add_epi16(a, b); }
static inline lanes lanes_sub16(lanes a, lanes b) { return _mm_sub_epi16(a, b); }
static inline lanes lanes_apart16(lanes a, lanes b)
{
    return _mm_or_si128(_mm_subs_epu16(a, b), _mm_subs_epu16(b, a));
}
static inline lanes lanes_pairs(lanes a, lanes b) { return _mm_madd_epi16(a, b); }
static inline lanes lanes_sum_pairs(lanes a)
{
    return _mm_add_epi32(_mm_srli_epi32(a, 16), _mm_and_si128(a, _mm_set1_epi32(0xFFFF)));
}
static inline lanes lanes_add32(lanes a, lanes b) { return _mm_add_epi32(a, b); }
static inline uint32_t lanes_total32(lanes a)
{
    a = _mm_add_epi32(a, _mm_shuffle_epi32(a, 0x4E));
    a = _mm_add_epi32(a, _mm_shuffle_epi32(a, 0xB1));
    return (uint32_t)_mm_cvtsi128_si32(a);
}
static inline lanes lanes_flip(lanes a, const uint8_t *flips)
{
    const __m128i bit = _mm_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128);
    __m128i set = _mm_cmpeq_epi16(_mm_and_si128(_mm_set1_epi16(flips[0]), bit), bit);
    return _mm_sub_epi16(_mm_xor_si128(a, set), set);
}
#define LANES_STAGE(a, swapped, ...) \
    _mm_add_epi16(swapped, _mm_sign_epi16(a, _mm_setr_epi16(__VA_ARGS__)))
static inline lanes lanes_stage(lanes a, unsigned distance)
{
    const __m128i next =
        _mm_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
    switch (distance) {
    case 1: return LANES_STAGE(a, _mm_shuffle_epi8(a, next), 1, -1, 1, -1, 1, -1, 1, -1);
    case 2: return LANES_STAGE(a, _mm_shuffle_epi32(a, 0xB1), 1, 1, -1, -1, 1, 1, -1, -1);
    default: return LANES_STAGE(a, _mm_shuffle_epi32(a, 0x4E), 1, 1, 1, 1, -1, -1, -1, -1);
    }
}
static inline uint16_t lanes_signs16(const int16_t *a)
{
    const __m128i *p = (const __m128i *)(const void *)a;
    return (uint16_t)_mm_movemask_epi8(_mm_packs_epi16(_mm_loadu_si128(p), _mm_loadu_si128(p + 1)));
}
static inline uint16_t lanes_signs32(const int32_t *a)
{
    const __m128i *p = (const __m128i *)(const void *)a;
    __m128i low = _mm_packs_epi32(_mm_loadu_si128(p), _mm_loadu_si128(p + 1));
    __m128i high = _mm_packs_epi32(_mm_loadu_si128(p + 2), _mm_loadu_si128(p + 3));
    return (uint16_t)_mm_movemask_epi8(_mm_packs_epi16(low, high));
}

#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>

#define AURICLE_LANES 8
typedef int16x8_t lanes;

static inline lanes lanes_zero(void) { return vdupq_n_s16(0); }
static inline lanes lanes_load(const void *from) { return vld1q_s16((const int16_t *)from); }
static inline void lanes_store(void *to, lanes a) { vst1q_s16((int16_t *)to, a); }
static inline lanes lanes_of_bytes(const uint8_t *from)
{
    return vreinterpretq_s16_u16(vmovl_u8(vld1_u8(from)));
}
static inline lanes lanes_add16(lanes a, lanes b) { return vaddq_s16(a, b); }
static inline lanes lanes_sub16(lanes a, lanes b) { return vsubq_s16(a, b); }
static inline lanes lanes_apart16(lanes a, lanes b)
{
    return vreinterpretq_s16_u16(vabdq_u16(vreinterpretq_u16_s16(a), vreinterpretq_u16_s16(b)));
}
static inline lanes lanes_pairs(lanes a, lanes b)
{
    int32x4_t low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
    return vreinterpretq_s16_s32(vaddq_s32(low, vmull_high_s16(a, b)));
}
static inline lanes lanes_sum_pairs(lanes a)
{
    return vreinterpretq_s16_u32(vpaddlq_u16(vreinterpretq_u16_s16(a)));
}
static inline lanes lanes_add32(lanes a, lanes b)
{
    return vreinterpretq_s16_s32(vaddq_s32(vreinterpretq_s32_s16(a), vreinterpretq_s32_s16(b)));
}
static inline uint32_t lanes_total32(lanes a) { return vaddvq_u32(vreinterpretq_u32_s16(a)); }
static inline lanes lanes_flip(lanes a, const uint8_t *flips)
{
    static const uint16_t bits[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    int16x8_t set = vreinterpretq_s16_u16(vtstq_u16(vdupq_n_u16(flips[0]), vld1q_u16(bits)));
    return vsubq_s16(veorq_s16(a, set), set);
}
static inline lanes lanes_stage(lanes a, unsigned distance)
{
    static const int16_t signs[3][8] = {{1, -1, 1, -1, 1, -1, 1, -1},
                                        {1, 1, -1, -1, 1, 1, -1, -1},
                                        {1, 1, 1, 1, -1, -1, -1, -1}};
    switch (distance) {
    case 1: return vmlaq_s16(vrev32q_s16(a), a, vld1q_s16(signs[0]));
    case 2:
        return vmlaq_s16(vreinterpretq_s16_s32(vrev64q_s32(vreinterpretq_s32_s16(a))), a,
                         vld1q_s16(signs[1]));
    default: return vmlaq_s16(vextq_s16(a, a, 4), a, vld1q_s16(signs[2]));
    }
}
static inline uint16_t lanes_signs16(const int16_t *a)
{
    static const uint16_t bits[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    uint16x8_t bit = vld1q_u16(bits);
    uint16x8_t low = vandq_u16(vcltzq_s16(vld1q_s16(a)), bit);
    uint16x8_t high = vandq_u16(vcltzq_s16(vld1q_s16(a + 8)), bit);
    return (uint16_t)(vaddvq_u16(low) | vaddvq_u16(high) << 8);
}
static inline uint16_t lanes_signs32(const int32_t *a)
{
    int16_t narrow[16];
    for (int k = 0; k < 16; k += 4) {
        vst1_s16(narrow + k, vshrn_n_s32(vld1q_s32(a + k), 16));
    }
    return lanes_signs16(narrow);
}
#endif

#ifdef AURICLE_LANES
/* The differing bits of hypervectors; `words`: of 32 bits, an even number. */
static inline uint32_t lanes_differing(const uint32_t *p, const uint32_t *q, uint32_t words)
{
    uint32_t at = 0;
#if defined(__AVX512BW__) && defined(__AVX512VPOPCNTDQ__)
    __m512i one = _mm512_setzero_si512(), other = one;
    for (; at + 32 <= words; at += 32) {
        __m512i a = _mm512_xor_si512(lanes_load(p + at), lanes_load(q + at));
        __m512i b = _mm512_xor_si512(lanes_load(p + at + 16), lanes_load(q + at + 16));
        one = _mm512_add_epi64(one, _mm512_popcnt_epi64(a));
        other = _mm512_add_epi64(other, _mm512_popcnt_epi64(b));
    }
    uint32_t total = (uint32_t)_mm512_reduce_add_epi64(_mm512_add_epi64(one, other));
#elif defined(__ARM_NEON)
    uint32x4_t sum = vdupq_n_u32(0);
    while (at + 4 <= words) {
        /* A byte counts at most 8 bits: 31 registers fit. */
        uint8x16_t counts = vdupq_n_u8(0);
        uint32_t end = words - at > 124 ? at + 124 : at + (words - at) / 4 * 4;
        for (; at < end; at += 4) {
            uint8x16_t apart = vreinterpretq_u8_u32(veorq_u32(vld1q_u32(p + at), vld1q_u32(q + at)));
            counts = vaddq_u8(counts, vcntq_u8(apart));
        }
        sum = vpadalq_u16(sum, vpaddlq_u8(counts));
    }
    uint32_t total = vaddvq_u32(sum);
#else
    uint32_t total = 0;
#endif
    for (; at < words; at += 2) {
        uint64_t a, b;
        memcpy(&a, p + at, sizeof a);
        memcpy(&b, q + at, sizeof b);
        total += (uint32_t)__builtin_popcountll(a ^ b);
    }
    return total;
}
#endif

#endif
