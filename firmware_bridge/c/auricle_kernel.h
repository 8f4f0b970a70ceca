/* Coding and comparing, on plain arrays: the arithmetic of a decision.  The exported detector and
 * the gateway's hdc compile this source; docs/explanation/architecture.md says how.
 *
 * C99 and whole numbers.  A processor with vector registers (hdc/c/lanes.h) takes the bulk of an
 * array in its own instructions and leaves the rest to the loops here; the sums are the same.
 */
#ifndef AURICLE_KERNEL_H
#define AURICLE_KERNEL_H

#include <stdint.h>

/* `static` where all is one source file, compiled once for each processor. */
#ifndef AURICLE_SHARED
#define AURICLE_SHARED extern
#endif

#define AURICLE_REACH (1 << 25) /* largest coordinate in the plane; real data stay far below */

/* The columns block: every feature times its gain, city-block distance. */
typedef struct {
    uint32_t start, count, wide;
    const uint16_t *gains;
    const void *means; /* [concepts][count], uint16, or uint32 if wide */
} auricle_columns;

/* The plane block: whitened directions of some features divided by their norm, or by `fixed`
 * unless that is 0, and the length outside. */
typedef struct {
    uint32_t start, count, rank, wide, fixed;
    int64_t rest;
    const uint16_t *scale;
    const int16_t *zeros;
    const void *axes; /* [rank][count], int16, or int32 if wide is 2 */
    const int32_t *offset, *gains, *centre, *lengths;
    const int32_t *means; /* [concepts][rank] */
} auricle_plane;

/* The projection of one tap: `width` features, padded with zeros to `padded`, a power of two. */
typedef struct {
    uint32_t width, padded, bits;
    const uint32_t *flips;
} auricle_tap;

enum auricle_size { AURICLE_HALVES, AURICLE_BYTES, AURICLE_SHORTS, AURICLE_WORDS };

/* The input of a product: the features or, for rows of 8 or 4 bits, their entries in the table of
 * levels, shifted. */
typedef struct {
    const uint8_t *x, *shifts;
    const uint16_t *levels;
    uint32_t width;
    enum auricle_size size;
} auricle_factors;

/* Computes the hypervector of the tap that starts at `x`, in rounds of `padded` bits. */
AURICLE_SHARED void auricle_rounds(const auricle_tap *tap, const uint8_t *x, uint32_t *bits,
                                   void *work);

/* Returns the Hamming distance of two hypervectors of `words` words, a multiple of 8. */
AURICLE_SHARED uint32_t auricle_differing(const uint32_t *one, const uint32_t *other,
                                          uint32_t words);

/* Computes the products with `count` rows, 1 to 4. */
AURICLE_SHARED void auricle_products(int32_t *sums, const auricle_factors *by, const void *rows,
                                     uint32_t count);

/* Returns the square root of a number below 2^62, in doubles below 2^52, rounded down. */
AURICLE_SHARED uint32_t auricle_root(uint64_t value);

/* Returns the sum of squares of `count` features, less their zeros, times their scale. */
AURICLE_SHARED uint64_t auricle_squares(const uint8_t *x, const int16_t *zeros,
                                        const uint16_t *scale, uint32_t count);

/* Computes the rank coordinates and the length outside the axes.  Returns the squares of the
 * features, as auricle_squares. */
AURICLE_SHARED uint64_t auricle_plane_code(const auricle_plane *plane, const uint8_t *x,
                                           int32_t *code);

/* Returns the Euclidean distance of a code to a mean, with code[rank], the length outside. */
AURICLE_SHARED uint32_t auricle_plane_distance(const int32_t *code, const int32_t *mean,
                                               uint32_t rank);

/* Returns the joint score of distances to one concept.  scales: mean and deviation of each. */
AURICLE_SHARED int32_t auricle_joined(const int32_t *distances, const int32_t *scales,
                                      const uint8_t *votes, uint32_t blocks);

#ifndef AURICLE_LANES
/* Computes the Hadamard transform of `size` words, a power of two, 2 or more. */
AURICLE_SHARED void auricle_hadamard(uint32_t *values, uint32_t size);
#endif

#endif
