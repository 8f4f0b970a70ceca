/* The receiving half of the link: reorders data frames and reassembles messages. */
#include "auricle_link_parts.h"

#include <string.h>

enum { ACK_FRAMES_MAX = 2 };
#define ACK_DELAY_NS 10000000u

void receiving_reset(auricle_link *link) {
    link->expected = 0;
    link->unacknowledged = 0;
    link->saw_again = false;
    link->assembling = link->too_long = false;
    link->message_length = 0;
    link->ack_at_ns = AURICLE_NEVER;
    for (unsigned i = 0; i < AURICLE_EARLY_SLOTS; i++) {
        link->early[i].used = false;
    }
}

static auricle_early_slot *find(auricle_link *link, uint16_t sequence) {
    for (unsigned i = 0; i < AURICLE_EARLY_SLOTS; i++) {
        if (link->early[i].used && link->early[i].sequence == sequence) {
            return &link->early[i];
        }
    }
    return NULL;
}

uint32_t receiving_bitmap(const auricle_link *link) {
    uint32_t bitmap = 0;
    for (unsigned i = 0; i < AURICLE_EARLY_SLOTS; i++) {
        uint16_t place = (uint16_t)(link->early[i].sequence - link->expected - 1);
        if (link->early[i].used && place < 32) {
            bitmap |= (uint32_t)1 << place;
        }
    }
    return bitmap;
}

static void keep(auricle_link *link, const frame_t *frame) {
    if (find(link, frame->sequence) != NULL) {
        link->counters.frames_repeated++;
        link->saw_again = true;
        return;
    }
    for (unsigned i = 0; i < AURICLE_EARLY_SLOTS; i++) {
        auricle_early_slot *slot = &link->early[i];
        if (!slot->used) {
            slot->used = true;
            slot->sequence = frame->sequence;
            slot->first = frame->first;
            slot->last = frame->last;
            slot->length = (uint16_t)frame->length;
            memcpy(slot->payload, frame->payload, frame->length);
            return;
        }
    }
}

static void deliver(auricle_link *link, const uint8_t *data, size_t length) {
    auricle_message message;
    if (auricle_message_decode(data, length, &message)) {
        auricle_event event = {.kind = AURICLE_EVENT_MESSAGE, .message = &message};
        link->handle(link->context, &event);
    } else {
        link->counters.messages_refused++;
        link_fault(link, AURICLE_FAULT_MESSAGE);
    }
}

static void assemble(auricle_link *link, bool first, bool last, const uint8_t *data,
                     size_t length) {
    if (first == link->assembling) {
        link_fault(link, AURICLE_FAULT_FRAGMENT);
    }
    if (first) {
        link->assembling = true;
        link->too_long = false;
        link->message_length = 0;
    }
    if (!link->assembling) {
        return;
    }
    if (link->message_length + length > AURICLE_MESSAGE_BYTES_MAX) {
        link->too_long = true;
    }
    if (!link->too_long && !(first && last)) {
        memcpy(link->message + link->message_length, data, length);
        link->message_length = (uint16_t)(link->message_length + length);
    }
    if (last) {
        link->assembling = false;
        if (link->too_long) {
            link_fault(link, AURICLE_FAULT_FRAGMENT);
        } else if (first) {
            deliver(link, data, length);
        } else {
            deliver(link, link->message, link->message_length);
        }
    }
}

static void passed(auricle_link *link) {
    link->expected++;
    if (link->unacknowledged < ACK_FRAMES_MAX) {
        link->unacknowledged++;
    }
}

void receiving_flush(auricle_link *link, uint64_t now_ns) {
    auricle_early_slot *slot;
    bool early = false;
    while (!link->paused && (slot = find(link, link->expected)) != NULL) {
        passed(link);
        assemble(link, slot->first, slot->last, slot->payload, slot->length);
        slot->used = false;
    }
    for (unsigned i = 0; i < AURICLE_EARLY_SLOTS; i++) {
        early = early || link->early[i].used;
    }
    if (link->unacknowledged >= ACK_FRAMES_MAX || early) {
        link->ack_at_ns = now_ns;
    } else if (link->unacknowledged > 0 && link->ack_at_ns == AURICLE_NEVER) {
        link->ack_at_ns = now_ns + ACK_DELAY_NS;
    }
}

void receiving_take(auricle_link *link, const frame_t *frame, uint64_t now_ns) {
    uint16_t ahead = (uint16_t)(frame->sequence - link->expected);
    if (ahead == 0 && !link->paused) {
        auricle_early_slot *slot = find(link, frame->sequence);
        if (slot != NULL) {
            slot->used = false;
        }
        passed(link);
        assemble(link, frame->first, frame->last, frame->payload, frame->length);
        receiving_flush(link, now_ns);
        return;
    }
    link->ack_at_ns = now_ns;
    if (ahead >= 0x8000) {
        link->counters.frames_repeated++;
        link->saw_again = true;
    } else if (ahead >= AURICLE_CREDIT) {
        link_fault(link, AURICLE_FAULT_WINDOW);
    } else {
        keep(link, frame);
    }
}
