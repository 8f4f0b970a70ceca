/* Two slots in flash.  The order of writes leaves a working model after a power cut at any write;
   slots.py explains it. */
#include <string.h>

#include "auricle_sha512.h"
#include "auricle_update.h"

enum { READ_BYTES = 64, DIGEST_AT = 8 };

static const uint8_t mark[AURICLE_WORD_BYTES] = {'A', 'U', 'R', 'm', 'a', 'r', 'k', '\n'};

static bool blank(const uint8_t *data, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (data[i] != 0xFF) {
            return false;
        }
    }
    return true;
}

static uint32_t long_word(const uint8_t *data) {
    return data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

/* Decodes the numbers. */
void auricle_manifest_fill(auricle_manifest *manifest) {
    manifest->revision = long_word(manifest->bytes);
    manifest->body_bytes = long_word(manifest->bytes + 4);
}

static void read_marker(const auricle_flash *flash, unsigned slot, unsigned marker,
                        uint8_t *word) {
    flash->read(flash->context, slot, AURICLE_MARKERS_AT + AURICLE_WORD_BYTES * marker, word,
                AURICLE_WORD_BYTES);
}

static bool marked(const auricle_flash *flash, unsigned slot, unsigned marker) {
    uint8_t word[AURICLE_WORD_BYTES];
    read_marker(flash, slot, marker, word);
    return memcmp(word, mark, sizeof mark) == 0;
}

static bool untouched(const auricle_flash *flash, unsigned slot, unsigned marker) {
    uint8_t word[AURICLE_WORD_BYTES];
    read_marker(flash, slot, marker, word);
    return blank(word, sizeof word);
}

bool auricle_slot_mark(const auricle_flash *flash, unsigned slot, unsigned marker) {
    uint32_t at = AURICLE_MARKERS_AT + AURICLE_WORD_BYTES * marker;
    return flash->write(flash->context, slot, at, mark, sizeof mark);
}

bool auricle_slot_manifest(const auricle_flash *flash, unsigned slot, auricle_manifest *manifest) {
    if (!marked(flash, slot, AURICLE_BEGUN)) {
        return false;
    }
    flash->read(flash->context, slot, 0, manifest->bytes, sizeof manifest->bytes);
    auricle_manifest_fill(manifest);
    return manifest->body_bytes > 0
           && manifest->body_bytes <= (flash->pages - 1) * flash->page_bytes;
}

static uint32_t least(uint32_t one, uint32_t other) {
    return one < other ? one : other;
}

bool auricle_slot_whole(const auricle_flash *flash, unsigned slot) {
    auricle_manifest manifest;
    auricle_sha512 hash;
    uint8_t part[READ_BYTES];
    uint8_t digest[AURICLE_DIGEST_BYTES];
    if (!auricle_slot_manifest(flash, slot, &manifest)) {
        return false;
    }
    auricle_sha512_begin(&hash);
    for (uint32_t at = 0; at < manifest.body_bytes; at += READ_BYTES) {
        uint32_t length = least(READ_BYTES, manifest.body_bytes - at);
        flash->read(flash->context, slot, flash->page_bytes + at, part, length);
        auricle_sha512_add(&hash, part, length);
    }
    auricle_sha512_end(&hash, digest);
    return memcmp(digest, manifest.bytes + DIGEST_AT, sizeof digest) == 0;
}

static bool ready(const auricle_flash *flash, unsigned slot) {
    return marked(flash, slot, AURICLE_READY) && auricle_slot_whole(flash, slot);
}

static uint32_t pages_of(const auricle_flash *flash, const auricle_manifest *manifest) {
    return (manifest->body_bytes - 1) / flash->page_bytes + 1;
}

static bool page_blank(const auricle_flash *flash, unsigned slot, uint32_t page) {
    uint8_t part[READ_BYTES];
    for (uint32_t at = 0; at < flash->page_bytes; at += READ_BYTES) {
        uint32_t length = least(READ_BYTES, flash->page_bytes - at);
        flash->read(flash->context, slot, page * flash->page_bytes + at, part, length);
        if (!blank(part, length)) {
            return false;
        }
    }
    return true;
}

/* A power cut may have torn the last written page: erases and rewrites it. */
static bool resume(const auricle_flash *flash, unsigned slot, const auricle_manifest *manifest,
                   uint32_t *offset) {
    uint32_t page = pages_of(flash, manifest);
    while (page > 0 && page_blank(flash, slot, page)) {
        page--;
    }
    *offset = page > 0 ? (page - 1) * flash->page_bytes : 0;
    return page == 0 || flash->erase(flash->context, slot, page);
}

/* Prepares a slot to receive a model; `offset`: bytes stored by an earlier try. */
bool auricle_slot_begin(const auricle_flash *flash, unsigned slot,
                        const auricle_manifest *manifest, uint32_t *offset) {
    auricle_manifest found;
    if (auricle_slot_manifest(flash, slot, &found)
        && memcmp(found.bytes, manifest->bytes, sizeof found.bytes) == 0
        && untouched(flash, slot, AURICLE_READY)) {
        return resume(flash, slot, manifest, offset);
    }
    *offset = 0;
    for (uint32_t page = 0; page <= pages_of(flash, manifest); page++) {
        if (!flash->erase(flash->context, slot, page)) {
            return false;
        }
    }
    return flash->write(flash->context, slot, 0, manifest->bytes, sizeof manifest->bytes)
           && auricle_slot_mark(flash, slot, AURICLE_BEGUN);
}

/* Writes a part of a model; the last one is padded to whole words. */
bool auricle_slot_write(const auricle_flash *flash, unsigned slot, uint32_t offset,
                        const uint8_t *data, uint32_t length) {
    uint8_t last[AURICLE_WORD_BYTES];
    uint32_t at = flash->page_bytes + offset;
    uint32_t rest = length % AURICLE_WORD_BYTES;
    length -= rest;
    if (length > 0 && !flash->write(flash->context, slot, at, data, length)) {
        return false;
    }
    if (rest == 0) {
        return true;
    }
    memset(last, 0xFF, sizeof last);
    memcpy(last, data + length, rest);
    return flash->write(flash->context, slot, at + length, last, sizeof last);
}

static uint32_t revision_of(const auricle_flash *flash, unsigned slot) {
    auricle_manifest manifest;
    return auricle_slot_manifest(flash, slot, &manifest) ? manifest.revision : 0;
}

/* Chooses the slot to run.  Marks a trial before it starts, so a model that is never confirmed is
   not chosen again. */
unsigned auricle_slot_start(const auricle_flash *flash, bool *on_trial) {
    unsigned newest = AURICLE_NO_SLOT;
    uint32_t revision = 0;
    *on_trial = false;
    for (unsigned slot = 0; slot < 2; slot++) {
        if (marked(flash, slot, AURICLE_CONFIRMED) && ready(flash, slot)
            && revision_of(flash, slot) >= revision) {
            newest = slot;
            revision = revision_of(flash, slot);
        }
    }
    for (unsigned slot = 0; slot < 2; slot++) {
        /* An interrupted erasure can make an old model look untried, but not newer. */
        if (untouched(flash, slot, AURICLE_TRIED) && untouched(flash, slot, AURICLE_CONFIRMED)
            && revision_of(flash, slot) > revision && ready(flash, slot)
            && auricle_slot_mark(flash, slot, AURICLE_TRIED)) {
            *on_trial = true;
            return slot;
        }
    }
    return newest;
}
