/* The device's side of a model update: handles a message, writes to flash and answers. */
#include "auricle_update.h"

#include <string.h>

#include "auricle_ed25519.h"

enum { SIGNED_BYTES = 72, SIGNATURE_AT = SIGNED_BYTES, NAME_BYTES = 15 };

static const char name[NAME_BYTES + 1] = "auricle-model-1";

void auricle_update_start(auricle_updater *updater, const auricle_flash *flash,
                          const uint8_t *key) {
    memset(updater, 0, sizeof *updater);
    updater->flash = flash;
    updater->key = key;
    updater->running = (uint8_t)auricle_slot_start(flash, &updater->on_trial);
    updater->target = updater->running == 0 ? 1 : 0;
}

static uint32_t running_revision(const auricle_updater *updater) {
    auricle_manifest manifest;
    if (updater->running == AURICLE_NO_SLOT
        || !auricle_slot_manifest(updater->flash, updater->running, &manifest)) {
        return 0;
    }
    return manifest.revision;
}

static void pack(auricle_manifest *manifest, const auricle_update_begin *begin) {
    for (unsigned i = 0; i < 4; i++) {
        manifest->bytes[i] = (uint8_t)(begin->revision >> (8 * i));
        manifest->bytes[4 + i] = (uint8_t)(begin->body_bytes >> (8 * i));
    }
    memcpy(manifest->bytes + 8, begin->digest, sizeof begin->digest);
    memcpy(manifest->bytes + SIGNATURE_AT, begin->signature, sizeof begin->signature);
    auricle_manifest_fill(manifest);
}

static bool rightly_signed(const auricle_updater *updater, const auricle_manifest *manifest) {
    uint8_t message[NAME_BYTES + SIGNED_BYTES];
    memcpy(message, name, NAME_BYTES);
    memcpy(message + NAME_BYTES, manifest->bytes, SIGNED_BYTES);
    return auricle_ed25519_verify(manifest->bytes + SIGNATURE_AT, updater->key, message,
                                  sizeof message);
}

static uint8_t refused_by_flash(auricle_updater *updater) {
    updater->receiving = false;
    return AURICLE_UPDATE_REASON_FLASH;
}

static uint8_t begin(auricle_updater *updater, const auricle_update_begin *request) {
    auricle_manifest offered;
    pack(&offered, request);
    if ((updater->receiving || updater->ready)
        && memcmp(offered.bytes, updater->update.bytes, sizeof offered.bytes) == 0) {
        return AURICLE_UPDATE_REASON_NONE;
    }
    if (updater->on_trial) {
        return AURICLE_UPDATE_REASON_UNCONFIRMED;
    }
    if (offered.revision <= running_revision(updater)) {
        return AURICLE_UPDATE_REASON_REVISION;
    }
    uint32_t room = (updater->flash->pages - 1) * updater->flash->page_bytes;
    if (offered.body_bytes == 0 || offered.body_bytes > room) {
        return AURICLE_UPDATE_REASON_SIZE;
    }
    if (!rightly_signed(updater, &offered)) {
        return AURICLE_UPDATE_REASON_SIGNATURE;
    }
    updater->receiving = updater->ready = false;
    if (!auricle_slot_begin(updater->flash, updater->target, &offered, &updater->offset)) {
        return refused_by_flash(updater);
    }
    updater->update = offered;
    updater->receiving = true;
    return AURICLE_UPDATE_REASON_NONE;
}

static uint8_t take(auricle_updater *updater, const auricle_update_chunk *chunk) {
    uint32_t length = (uint32_t)chunk->data.length;
    uint32_t whole = updater->update.body_bytes;
    if (!updater->receiving || chunk->offset > updater->offset
        || length > whole - chunk->offset) {
        return AURICLE_UPDATE_REASON_UNEXPECTED;
    }
    if (chunk->offset < updater->offset) {
        return AURICLE_UPDATE_REASON_NONE;
    }
    if (length % AURICLE_WORD_BYTES != 0 && chunk->offset + length < whole) {
        return AURICLE_UPDATE_REASON_SIZE;
    }
    if (!auricle_slot_write(updater->flash, updater->target, chunk->offset, chunk->data.data,
                            length)) {
        return refused_by_flash(updater);
    }
    updater->offset += length;
    return AURICLE_UPDATE_REASON_NONE;
}

static uint8_t commit(auricle_updater *updater, uint32_t revision) {
    if (updater->ready && updater->update.revision == revision) {
        return AURICLE_UPDATE_REASON_NONE;
    }
    if (!updater->receiving || updater->update.revision != revision
        || updater->offset < updater->update.body_bytes) {
        return AURICLE_UPDATE_REASON_UNEXPECTED;
    }
    if (!auricle_slot_whole(updater->flash, updater->target)) {
        updater->receiving = false;
        return updater->flash->erase(updater->flash->context, updater->target, 0)
                   ? AURICLE_UPDATE_REASON_DIGEST
                   : AURICLE_UPDATE_REASON_FLASH;
    }
    if (!auricle_slot_mark(updater->flash, updater->target, AURICLE_READY)) {
        return refused_by_flash(updater);
    }
    updater->receiving = false;
    updater->ready = true;
    return AURICLE_UPDATE_REASON_NONE;
}

static uint8_t confirm(auricle_updater *updater, uint32_t revision) {
    if (updater->running == AURICLE_NO_SLOT || running_revision(updater) != revision) {
        return AURICLE_UPDATE_REASON_UNEXPECTED;
    }
    if (updater->on_trial
        && !auricle_slot_mark(updater->flash, updater->running, AURICLE_CONFIRMED)) {
        return refused_by_flash(updater);
    }
    updater->on_trial = false;
    return AURICLE_UPDATE_REASON_NONE;
}

static uint8_t obey(auricle_updater *updater, const auricle_message *message) {
    switch (message->id) {
    case AURICLE_UPDATE_BEGIN:
        return begin(updater, &message->as.update_begin);
    case AURICLE_UPDATE_CHUNK:
        return take(updater, &message->as.update_chunk);
    case AURICLE_UPDATE_COMMIT:
        return commit(updater, message->as.update_commit.revision);
    case AURICLE_UPDATE_CONFIRM:
        return confirm(updater, message->as.update_confirm.revision);
    default:
        return AURICLE_UPDATE_REASON_NONE;
    }
}

bool auricle_update_handle(auricle_updater *updater, const auricle_message *message,
                           auricle_message *answer) {
    if (message->id < AURICLE_UPDATE_BEGIN || message->id > AURICLE_UPDATE_QUERY) {
        return false;
    }
    uint8_t reason = obey(updater, message);
    bool update = updater->receiving || updater->ready;
    answer->id = AURICLE_UPDATE_STATUS;
    answer->as.update_status = (auricle_update_status){
        .state = updater->on_trial    ? AURICLE_UPDATE_STATE_TRIAL
                 : updater->receiving ? AURICLE_UPDATE_STATE_RECEIVING
                 : updater->ready     ? AURICLE_UPDATE_STATE_READY
                                      : AURICLE_UPDATE_STATE_IDLE,
        .reason = reason,
        .running_revision = running_revision(updater),
        .update_revision = update ? updater->update.revision : 0,
        .offset = update ? updater->offset : 0,
    };
    return true;
}
