/* Model updates over the link: received into the unused slot, verified, tried at a start, and kept
 * once confirmed.  slots.py and updating.py are the same in Python and explain the order of writes.
 */
#ifndef AURICLE_UPDATE_H
#define AURICLE_UPDATE_H

#include "auricle_messages.h"

#define AURICLE_WORD_BYTES 8
#define AURICLE_MANIFEST_BYTES 136
#define AURICLE_MARKERS_AT AURICLE_MANIFEST_BYTES
#define AURICLE_SLOT_HEAD_BYTES (AURICLE_MANIFEST_BYTES + 4 * AURICLE_WORD_BYTES)
#define AURICLE_NO_SLOT 2

/* Two slots of flash.  page_bytes: the erase unit, a multiple of 8 and at least
   AURICLE_SLOT_HEAD_BYTES; pages: per slot.  The functions return false if the flash fails; `write`
   gets whole aligned words of 8 bytes for blank flash. */
typedef struct {
    uint32_t page_bytes, pages;
    void *context;
    bool (*erase)(void *context, unsigned slot, uint32_t page);
    bool (*write)(void *context, unsigned slot, uint32_t offset, const uint8_t *data,
                  uint32_t length);
    void (*read)(void *context, unsigned slot, uint32_t offset, uint8_t *data, uint32_t length);
} auricle_flash;

/* The signed description of a model, as an update_begin carries it. */
typedef struct {
    uint32_t revision, body_bytes;
    uint8_t bytes[AURICLE_MANIFEST_BYTES];
} auricle_manifest;

typedef struct {
    const auricle_flash *flash;
    const uint8_t *key; /* the fleet's, 32 bytes */
    uint8_t running;    /* slot of the model in use, AURICLE_NO_SLOT */
    uint8_t target;     /* slot that an update goes to */
    bool on_trial, receiving, ready;
    uint32_t offset;
    auricle_manifest update;
} auricle_updater;

/* Chooses the model to run, which starts at page 1 of the slot `running`.  Call it at power-up, and
   to try a model that is ready. */
void auricle_update_start(auricle_updater *updater, const auricle_flash *flash,
                          const uint8_t *key);

/* Processes an update message and fills in the answer.  Returns false for any other message. */
bool auricle_update_handle(auricle_updater *updater, const auricle_message *message,
                           auricle_message *answer);

/* Slots (auricle_slots.c). */
enum { AURICLE_BEGUN, AURICLE_READY, AURICLE_TRIED, AURICLE_CONFIRMED };
bool auricle_slot_mark(const auricle_flash *flash, unsigned slot, unsigned marker);
bool auricle_slot_manifest(const auricle_flash *flash, unsigned slot, auricle_manifest *manifest);
bool auricle_slot_whole(const auricle_flash *flash, unsigned slot);
bool auricle_slot_begin(const auricle_flash *flash, unsigned slot,
                        const auricle_manifest *manifest, uint32_t *offset);
bool auricle_slot_write(const auricle_flash *flash, unsigned slot, uint32_t offset,
                        const uint8_t *data, uint32_t length);
unsigned auricle_slot_start(const auricle_flash *flash, bool *on_trial);
void auricle_manifest_fill(auricle_manifest *manifest);

#endif
