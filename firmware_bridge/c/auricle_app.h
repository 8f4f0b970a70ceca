/* The reference application: samples are decided on here, and sent with the verdict on each. */
#ifndef AURICLE_APP_H
#define AURICLE_APP_H

#include "auricle_detector.h"

/* Actions of commands. */
enum {
    AURICLE_ACTION_STREAM = 1, /* argument: one byte, 1 to send readings, 0 to stop */
    AURICLE_ACTION_READINGS = 2 /* argument: one byte, 0 to send decisions alone */
};

/* Start with the knowledge that was exported; AURICLE_OK, or why it did not open. */
int auricle_app_start(const void *knowledge, uint32_t bytes);

/* One turn of the main loop: never waits. */
void auricle_app_turn(void);

#endif
