/* The reference application: samples are decided on here, and sent with the verdict on each. */
#ifndef AURICLE_APP_H
#define AURICLE_APP_H

#include "auricle_detector.h"
#include "auricle_messages.h"

/* Actions of commands. */
enum {
    AURICLE_ACTION_STREAM = 1, /* argument: one byte, 1 to send readings, 0 to stop */
    AURICLE_ACTION_READINGS = 2 /* argument: one byte, 0 to send decisions alone */
};

/* Start with the knowledge that was exported; AURICLE_OK, or why it did not open. */
int auricle_app_start(const void *knowledge, uint32_t bytes);

/* Go on with other knowledge, of the same features and no more bits; what serves now goes on where
 * it does not open.  Not from within a turn. */
int auricle_app_open(const void *knowledge, uint32_t bytes);

/* Who is asked about every other message, as auricle_update_handle: true where `answer` is to be
 * sent. */
typedef bool auricle_app_handler(const auricle_message *message, auricle_message *answer);
void auricle_app_extend(auricle_app_handler *handler);

/* One turn of the main loop: never waits. */
void auricle_app_turn(void);

#endif
