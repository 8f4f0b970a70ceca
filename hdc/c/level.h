/* The hot path of hdc, compiled once for each instruction set; Python passes addresses of arrays
 * that native.py laid out and checked. */
#ifndef AURICLE_LEVEL_H
#define AURICLE_LEVEL_H

#include "auricle_kernel.h"

#define INTERFACE 9       /* INTERFACE in native.py: raise both with the layouts below */
#define BLOCKS_MAX 4u     /* bits, columns, plane, norms */
#define INEXACT 1         /* a number leaves the range in which C and numpy agree */
#define SMALL (1 << 24)   /* coordinates below: squares of differences add up below 2^64 */
#define EXACT_ROOT 94906265u /* the root of 2^53 */
#define RESIDUALS 128      /* columns whose products are added at a time: they stay in the cache */
#define SPREAD_TERMS 5     /* the numbers in which spread.py sums residuals up */
#define NEAREST_MAX 16     /* nearest windows of a series that can be asked for */
#define TOGETHER 16        /* samples compared with an exemplar at a time: 64 bytes of floats */

/* A geometry.  Offsets of the blocks' coordinates follow from their widths. */
typedef struct {
    uint32_t width, tap_start, values, columns, plane_rank, norms;
    uint32_t shared; /* the tap whose norm is the plane's; `norms` if there is none */
    uint32_t work_bytes;
    auricle_tap tap;
    auricle_plane plane;
    uint32_t columns_start;
    const uint32_t *gains;   /* [columns] */
    const uint32_t *edges;   /* [norms + 1] */
    const int16_t *zeros;    /* [width] */
    const uint16_t *scale;   /* [width] */
    const int64_t *mix;      /* [norms][norms] */
    const int16_t *log_table; /* [1024] */
} native_geometry;

/* The prototypes of a memory. */
typedef struct {
    uint32_t concepts, words; /* words of 32 bits */
    uint32_t columns, wide, plane, norms, blocks;
    uint8_t votes[BLOCKS_MAX];
    const uint32_t *majorities; /* [concepts][words] */
    const uint32_t *screen;     /* [concepts][screen_words], NULL: no first pass */
    uint32_t screen_words, screened;
    const void *columns_means;   /* [concepts][columns], uint16, or int32 if wide */
    const int32_t *plane_means; /* [concepts][plane] */
    const int32_t *norms_means;  /* [concepts][norms] */
} native_memory;

/* Exemplars of one concept, or any rows of whole numbers below 2^24. */
typedef struct {
    const float *columns, *plane;
    uint32_t columns_count, columns_width, plane_count, plane_width;
} native_exemplars;

/* The terms of one joint score: distances with [blocks][2] scales, and two to the nearest
 * exemplars, -1 for the mean distance. */
typedef struct {
    uint32_t blocks;
    const int64_t *distances, *scales, *votes;
    const int64_t *nearest, *nearest_scales, *nearest_votes;
} native_joint;

/* All that a decision on a sample reads. */
typedef struct {
    const native_geometry *geometry;
    const native_memory *memory;
    const int64_t *scales;                     /* [1 + concepts][blocks][2], the common ones first */
    const int64_t *starts;                     /* [domains + 1], the first concept of each */
    const native_exemplars *const *exemplars;  /* [concepts], NULL where one has none */
    const int64_t *near_scales;                /* [concepts][2][2] */
    const int64_t *votes, *near_votes;         /* [blocks], [2] */
    uint32_t domains, has_exemplars;
} native_decision;

/* The landmarks of a kernel machine: codes [count][width], and the sum of each; its squared
 * length; step and shift [width] of the columns. */
typedef struct {
    const uint8_t *codes;
    const int32_t *sums;
    const float *lengths, *step, *shift;
    int64_t count, width;
} landmarks;

/* Windows of a series [channels][row] that ended before its sample `at`: `windows` of them, `gap`
 * samples apart from the newest.  back: length of a window.  full: the newest of them that hold
 * samples.  nearest: those whose distances are added. */
typedef struct {
    int64_t channels, row, at, back, gap, windows, full, nearest;
} window_call;

typedef struct {
    const char *name;
    /* Writes `count` squared distances below 0, see linear.h.  work: 4 bytes for each column. */
    void (*landmark_distances)(const landmarks *held, const float *row, float *made, uint8_t *work);
    uint32_t (*work)(uint32_t padded);
    /* Codes `count` rows of features.  Return 0, or INEXACT. */
    int (*project)(const native_geometry *geometry, const uint8_t *features, int64_t count,
                   uint64_t *bits, int64_t *values, void *work);
    /* Writes distances [blocks] to concept `only[i]`, or i. */
    int (*distances)(const native_memory *memory, const uint64_t *bits, const int64_t *values,
                     const int64_t *only, int64_t count, int64_t *made, void *work);
    int (*scores)(const native_memory *memory, const int64_t *distances, const int64_t *scales,
                  int per_concept, const int64_t *only, int64_t count, int64_t *made);
    /* Writes the `count` concepts nearest by bits, ascending. */
    void (*nearest)(const native_memory *memory, const uint64_t *bits, int64_t count,
                    int64_t *made, void *work);
    /* Writes the joint score of distances and of those to the nearest exemplars. */
    int (*joint)(const native_joint *terms, int64_t *made);
    /* Writes the distances to the nearest exemplars but `without`, -1 where none is left. */
    int (*exemplars)(const native_exemplars *held, const int64_t *columns, const int64_t *plane,
                     int64_t without, int64_t *made, void *work);
    /* The same for `count` samples.  work: TOGETHER floats for each column and TOGETHER doubles for
     * each coordinate in the plane. */
    int (*exemplars_of_many)(const native_exemplars *held, const int64_t *columns,
                             const int64_t *plane, const int64_t *without, int64_t count,
                             int64_t *made, void *work);
    /* Writes the SPREAD_TERMS [blocks - 1][SPREAD_TERMS] of samples less the means of a concept each
     * (spread.py).  work: RESIDUALS + count + 1 doubles for each sample. */
    int (*spread)(const native_memory *memory, const int64_t *const *samples,
                  const int64_t *columns, int64_t count, double *made, double *work);
    /* Writes linear scores [rows] of bytes [width], as the table of 256 levels has them. */
    void (*linear)(const uint8_t *features, const float *table, const float *weights,
                   const float *bias, int64_t width, int64_t rows, float *made, float *work);
    /* Lets squared distances [channels][windows] follow the newest sample; writes the sums of roots
     * of the least, [channels]. */
    void (*follow_windows)(const window_call *call, const int32_t *series, int32_t *table,
                           double *made);
} native_level;

extern const native_level native_portable;
#if defined(__x86_64__)
extern const native_level native_sse42, native_avx2, native_avx512;
#elif defined(__aarch64__)
extern const native_level native_neon, native_dotprod;
#endif

#endif
