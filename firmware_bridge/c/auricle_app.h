/* The reference application: decides on each sample and sends the sample with its verdict. */
#ifndef AURICLE_APP_H
#define AURICLE_APP_H

#include "auricle_detector.h"
#include "auricle_messages.h"

/* Actions of commands. */
enum {
    AURICLE_ACTION_STREAM = 1, /* argument: one byte, 1 starts sending readings, 0 stops */
    AURICLE_ACTION_READINGS = 2 /* argument: one byte, 0 sends decisions only */
};

/* Starts with exported knowledge.  Returns AURICLE_OK or an enum auricle_error. */
int auricle_app_start(const void *knowledge, uint32_t bytes);

/* Switches to other knowledge with the same features and no more bits.  On an error the current
 * knowledge stays in use.  Do not call it from within a turn. */
int auricle_app_open(const void *knowledge, uint32_t bytes);

/* Handles every other message, like auricle_update_handle.  Returns true to send `answer`. */
typedef bool auricle_app_handler(const auricle_message *message, auricle_message *answer);
void auricle_app_extend(auricle_app_handler *handler);

/* Runs one turn of the main loop.  Never blocks. */
void auricle_app_turn(void);

#endif
