/* What the reference application needs of a board: six functions, none of which may wait. */
#ifndef AURICLE_BOARD_H
#define AURICLE_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Another number after each start, not 0: of a random generator, or a counter kept in flash. */
uint32_t board_session(void);

/* Nanoseconds since the start; called at least once a second. */
uint64_t board_now_ns(void);

/* Bytes that arrived at the port, at most `room`; 0 where there are none. */
size_t board_read(uint8_t *data, size_t room);

/* How many of the bytes the port has taken; the rest is offered again. */
size_t board_write(const uint8_t *data, size_t length);

/* A new sample, quantised to uint8 as the knowledge's card says; false where none is due. */
bool board_sample(uint8_t *features);

/* Set an output; false where the board has no such channel. */
bool board_set(uint8_t channel, int32_t value);

#endif
