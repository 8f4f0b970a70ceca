/* Updates a model in C, with flash in memory and a power cut at every write.
 *
 * Standard input: the key (32 bytes), then two models: the update_begin (137 bytes), the length
 * (4 bytes), the model.  The second replaces the first.  Prints the number of cuts, and the
 * number after which the device had no working model or could not be updated.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auricle_update.h"

enum { PAGE = 256, PAGES = 13, BEGIN_BYTES = 137, BODY_BYTES_MAX = (PAGES - 1) * PAGE, CHUNK = 64 };
enum { BEFORE, TORN, AFTER, TEARS };

static struct {
    uint8_t slots[2][PAGE * PAGES];
    long writes, cut_at;
    int tear;
} memory;

static struct model {
    uint8_t begin[BEGIN_BYTES];
    uint32_t length;
    uint8_t body[BODY_BYTES_MAX];
} models[2];

static uint8_t key[32];
static uint32_t state = 1;

static uint8_t draw(void) {
    state = state * 1664525u + 1013904223u;
    return (uint8_t)(state >> 24);
}

static void require(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

/* Writes to flash unless the power is off. */
static bool step(uint8_t *at, const uint8_t *data, uint32_t length) {
    if (memory.cut_at >= 0 && memory.writes > memory.cut_at) {
        return false;
    }
    bool cut = memory.writes++ == memory.cut_at;
    for (uint32_t i = 0; i < length && !(cut && memory.tear == BEFORE); i++) {
        uint8_t mask = cut && memory.tear == TORN ? draw() : 0;
        at[i] = (uint8_t)((at[i] & mask) | (data[i] & ~mask));
    }
    return !cut;
}

static bool erase(void *context, unsigned slot, uint32_t page) {
    uint8_t blank[PAGE];
    (void)context;
    require(page < PAGES, "a page outside the slot");
    memset(blank, 0xFF, sizeof blank);
    return step(memory.slots[slot] + page * PAGE, blank, PAGE);
}

static bool write(void *context, unsigned slot, uint32_t offset, const uint8_t *data,
                  uint32_t length) {
    (void)context;
    require(offset % 8 == 0 && length % 8 == 0, "no whole words");
    require(offset + length <= PAGE * PAGES, "words outside the slot");
    for (uint32_t i = 0; i < length; i += 8) {
        uint8_t *at = memory.slots[slot] + offset + i;
        for (unsigned j = 0; j < 8; j++) {
            bool dead = memory.cut_at >= 0 && memory.writes > memory.cut_at;
            require(at[j] == 0xFF || dead, "a word is written twice");
        }
        if (!step(at, data + i, 8)) {
            return false;
        }
    }
    return true;
}

static void read(void *context, unsigned slot, uint32_t offset, uint8_t *data, uint32_t length) {
    (void)context;
    require(offset + length <= PAGE * PAGES, "a read outside the slot");
    memcpy(data, memory.slots[slot] + offset, length);
}

static const auricle_flash flash = {PAGE, PAGES, NULL, erase, write, read};

static auricle_update_status ask(auricle_updater *updater, const auricle_message *message) {
    auricle_message answer;
    require(auricle_update_handle(updater, message, &answer), "no answer");
    return answer.as.update_status;
}

/* Does the steps of a host; stops when one is refused, as after a power cut. */
static void install(auricle_updater *updater, const struct model *model) {
    auricle_message message;
    require(auricle_message_decode(model->begin, BEGIN_BYTES, &message), "no update_begin");
    uint32_t revision = message.as.update_begin.revision;
    auricle_update_status status = ask(updater, &message);
    while (status.state == AURICLE_UPDATE_STATE_RECEIVING && status.offset < model->length) {
        uint32_t rest = model->length - status.offset;
        message.id = AURICLE_UPDATE_CHUNK;
        message.as.update_chunk.offset = status.offset;
        message.as.update_chunk.data.data = model->body + status.offset;
        message.as.update_chunk.data.length = rest < CHUNK ? rest : CHUNK;
        status = ask(updater, &message);
        if (status.reason != AURICLE_UPDATE_REASON_NONE) {
            return;
        }
    }
    message.id = AURICLE_UPDATE_COMMIT;
    message.as.update_commit.revision = revision;
    if (status.running_revision < revision
        && ask(updater, &message).reason == AURICLE_UPDATE_REASON_NONE) {
        auricle_update_start(updater, &flash, key);
    }
    message.id = AURICLE_UPDATE_CONFIRM;
    message.as.update_confirm.revision = revision;
    ask(updater, &message);
}

static bool runs(const auricle_updater *updater, const struct model *model) {
    return updater->running != AURICLE_NO_SLOT
           && memcmp(memory.slots[updater->running] + PAGE, model->body, model->length) == 0;
}

static bool survives(long at, int tear) {
    auricle_updater updater;
    memory.writes = 0;
    memory.cut_at = at;
    memory.tear = tear;
    auricle_update_start(&updater, &flash, key);
    install(&updater, &models[1]);
    memory.cut_at = -1;
    auricle_update_start(&updater, &flash, key);
    return runs(&updater, &models[0]) || runs(&updater, &models[1]);
}

static bool recovers(void) {
    auricle_updater updater;
    auricle_update_start(&updater, &flash, key);
    install(&updater, &models[1]);
    auricle_update_start(&updater, &flash, key);
    return runs(&updater, &models[1]) && !updater.on_trial;
}

static void take(void *out, size_t length) {
    require(fread(out, 1, length, stdin) == length, "input cut short");
}

int main(void) {
    static uint8_t before[2][PAGE * PAGES];
    auricle_updater updater;
    long points = 0, bad = 0;
    take(key, sizeof key);
    for (unsigned i = 0; i < 2; i++) {
        take(models[i].begin, BEGIN_BYTES);
        take(&models[i].length, 4);
        require(models[i].length <= BODY_BYTES_MAX, "a model too large");
        take(models[i].body, models[i].length);
    }
    memset(memory.slots, 0xFF, sizeof memory.slots);
    memory.cut_at = -1;
    auricle_update_start(&updater, &flash, key);
    install(&updater, &models[0]);
    require(runs(&updater, &models[0]) && !updater.on_trial, "the first model was not kept");
    memcpy(before, memory.slots, sizeof before);
    memory.writes = 0;
    require(recovers(), "an update without any cut failed");
    long writes = memory.writes;
    for (long at = 0; at < writes; at++) {
        for (int tear = 0; tear < TEARS; tear++) {
            memcpy(memory.slots, before, sizeof before);
            bool works = survives(at, tear);
            /* A second cut at a random write of the second try. */
            works = survives((at * 7 + draw()) % writes, (tear + 1) % TEARS) && works;
            bad += !(recovers() && works);
            points++;
        }
    }
    printf("%ld %ld\n", points, bad);
    return 0;
}
