/* Framing: zero-delimited blocks (COBS) and their checksum. */
#ifndef AURICLE_FRAMES_H
#define AURICLE_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest frame received or sent, before stuffing; at least 64. */
#ifndef AURICLE_FRAME_BYTES_MAX
#define AURICLE_FRAME_BYTES_MAX 288
#endif

#define AURICLE_HEADER_BYTES 6
#define AURICLE_OVERHEAD_BYTES (AURICLE_HEADER_BYTES + 4)
#define AURICLE_PAYLOAD_BYTES_MAX (AURICLE_FRAME_BYTES_MAX - AURICLE_OVERHEAD_BYTES)

/* The longest frame on the wire, with a zero at either end. */
#define AURICLE_WIRE_BYTES_MAX (AURICLE_FRAME_BYTES_MAX + AURICLE_FRAME_BYTES_MAX / 254 + 3)

/* Updates a CRC-32 (IEEE 802.3); `start`: 0 for the first bytes. */
uint32_t auricle_crc32(uint32_t start, const uint8_t *data, size_t length);

/* Writes a stuffed block piece by piece; the caller provides the room. */
typedef struct {
    uint8_t *out;
    size_t length, code_at;
} auricle_stuffer;

void auricle_stuff_begin(auricle_stuffer *stuffer, uint8_t *out);
void auricle_stuff(auricle_stuffer *stuffer, const uint8_t *data, size_t length);
/* Closes the block with a zero; returns its length on the wire. */
size_t auricle_stuff_end(auricle_stuffer *stuffer);

enum { AURICLE_BLOCK_NONE, AURICLE_BLOCK_WHOLE, AURICLE_BLOCK_BAD };

/* Reads blocks from the wire byte by byte.  The initial state is all zeros. */
typedef struct {
    uint8_t block[AURICLE_FRAME_BYTES_MAX];
    uint16_t length; /* of the block so far */
    uint8_t left;    /* bytes until the next code */
    uint8_t code;    /* the last one, 0 before the first */
    bool bad;
} auricle_unstuffer;

/* WHOLE: `block` holds `length` bytes until the next call.  BAD: too long, or cut short. */
int auricle_unstuff(auricle_unstuffer *unstuffer, uint8_t byte, size_t *length);

#endif
