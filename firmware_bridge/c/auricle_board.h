/* The board support of the reference application: six functions, none of which may block. */
#ifndef AURICLE_BOARD_H
#define AURICLE_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns a number that differs after each start, not 0: random, or a counter in flash. */
uint32_t board_session(void);

/* Returns nanoseconds since the start.  Called at least once a second. */
uint64_t board_now_ns(void);

/* Reads at most `room` bytes that arrived at the port.  Returns their number. */
size_t board_read(uint8_t *data, size_t room);

/* Writes bytes to the port.  Returns how many it accepted; the rest is passed again. */
size_t board_write(const uint8_t *data, size_t length);

/* Fills in a new sample, quantised to uint8 by the model card.  Returns false if none is due. */
bool board_sample(uint8_t *features);

/* Sets an output.  Returns false if the board has no such channel. */
bool board_set(uint8_t channel, int32_t value);

#endif
