/* The sending half of the link: frames wait in slots until they are acknowledged.
 *
 * Loss detection uses the order of transmissions (RACK, RFC 8985, section 3, counted in frames) and
 * a timer that follows the round-trip time (RFC 6298, sections 2 and 3).  Losses do not back the
 * timer off, because a noisy line causes them without congestion; silence and spurious
 * retransmissions do.
 */
#include "auricle_link_parts.h"

#include <string.h>

#define ROUND_TRIP_START_NS 1000000000u
#define RESEND_NS_MIN 20000000u
#define RESEND_NS_MAX 4000000000u
enum { TRIES = 16, LOSSES_MANY = 8, LOSSES_FEW = 1, SHRINK_MAX = 3 };
#define FRAGMENT_BYTES_MIN 32u
enum { OVERTAKEN_MAX = 2, BACKOFF_MAX = 8, SILENT_BACKOFF_MAX = 2 };

static auricle_send_slot *slot_at(auricle_link *link, unsigned place) {
    return &link->slots[(link->oldest + place) % AURICLE_SEND_SLOTS];
}

void sending_reset(auricle_link *link) {
    link->base = link->limit = 0;
    link->order = 0;
    link->heard = false;
    /* Fragments start small and grow when frames arrive. */
    link->shrink = SHRINK_MAX;
    link->tries = link->losses = 0;
}

static uint64_t resend_ns(const auricle_link *link) {
    uint64_t wait = link->smoothed_ns + 4 * link->deviation_ns;
    if (wait == 0) {
        wait = ROUND_TRIP_START_NS;
    }
    wait = (wait > RESEND_NS_MIN ? wait : RESEND_NS_MIN) << link->backoff;
    return wait < RESEND_NS_MAX ? wait : RESEND_NS_MAX;
}

static void measure(auricle_link *link, uint64_t took_ns) {
    uint64_t off = took_ns > link->smoothed_ns ? took_ns - link->smoothed_ns
                                               : link->smoothed_ns - took_ns;
    link->backoff = 0;
    if (link->smoothed_ns == 0) {
        link->smoothed_ns = took_ns;
        link->deviation_ns = took_ns / 2;
        return;
    }
    link->deviation_ns = link->deviation_ns - link->deviation_ns / 4 + off / 4;
    link->smoothed_ns = link->smoothed_ns - link->smoothed_ns / 8 + took_ns / 8;
}

static void slow_down(auricle_link *link, unsigned by, unsigned most) {
    unsigned backoff = link->backoff + by < most ? link->backoff + by : most;
    link->backoff = (uint8_t)(backoff > link->backoff ? backoff : link->backoff);
}

/* Records a lost or arrived transmission; every 16 of them may halve or double the fragments. */
static void judge(auricle_link *link, bool lost) {
    link->losses = (uint8_t)(link->losses + lost);
    if (++link->tries < TRIES) {
        return;
    }
    if (link->losses >= LOSSES_MANY && link->shrink < SHRINK_MAX) {
        link->shrink++;
    } else if (link->losses <= LOSSES_FEW && link->shrink > 0) {
        link->shrink--;
    }
    link->tries = link->losses = 0;
}

size_t link_fragment_bytes(const auricle_link *link) {
    size_t most = AURICLE_FRAME_BYTES_MAX;
    if (link->peer.frame_bytes_max < most) {
        most = link->peer.frame_bytes_max;
    }
    return most - AURICLE_OVERHEAD_BYTES;
}

/* Copies a part of head and tail, which follow each other, into a slot. */
static void fill(auricle_send_slot *slot, const uint8_t *head, size_t head_length,
                 const auricle_view *tail, size_t from) {
    size_t copied = 0;
    if (from < head_length) {
        copied = head_length - from < slot->length ? head_length - from : slot->length;
        memcpy(slot->payload, head + from, copied);
    }
    if (copied < slot->length) {
        memcpy(slot->payload + copied, tail->data + (from + copied - head_length),
               slot->length - copied);
    }
}

static auricle_send_result refuse(auricle_link *link, auricle_send_result why) {
    link->counters.messages_dropped++;
    return why;
}

auricle_send_result auricle_link_send(auricle_link *link, const auricle_message *message) {
    uint8_t head[AURICLE_HEAD_BYTES_MAX];
    auricle_view tail;
    size_t head_length = auricle_message_encode(message, head, &tail);
    if (head_length == 0) {
        return refuse(link, AURICLE_SEND_INVALID);
    }
    if (!link->connected) {
        return refuse(link, AURICLE_SEND_CLOSED);
    }
    size_t fragment = link_fragment_bytes(link);
    size_t length = head_length + tail.length;
    if (length < tail.length || length > AURICLE_SEND_SLOTS * fragment
        || length > link->peer.message_bytes_max) {
        return refuse(link, AURICLE_SEND_TOO_LONG);
    }
    /* A noisy line gets short frames, but at most as many as there are slots. */
    size_t least = (length + AURICLE_SEND_SLOTS - 1) / AURICLE_SEND_SLOTS;
    least = least > FRAGMENT_BYTES_MIN ? least : FRAGMENT_BYTES_MIN;
    least = least > fragment >> link->shrink ? least : fragment >> link->shrink;
    fragment = least < fragment ? least : fragment;
    if ((length + fragment - 1) / fragment > (size_t)(AURICLE_SEND_SLOTS - link->waiting)) {
        return refuse(link, AURICLE_SEND_FULL);
    }
    for (size_t from = 0; from < length; from += fragment) {
        auricle_send_slot *slot = slot_at(link, link->waiting++);
        slot->length = (uint16_t)(length - from < fragment ? length - from : fragment);
        slot->first = from == 0;
        slot->last = from + slot->length == length;
        slot->survives = auricle_message_survives(message->id);
        slot->sends = 0;
        slot->held = false;
        slot->due = true;
        fill(slot, head, head_length, &tail, from);
    }
    return AURICLE_SEND_TAKEN;
}

/* Returns the slots of the message that begins here; 0 if its beginning was acknowledged. */
static unsigned whole_message(auricle_link *link, unsigned place) {
    unsigned count = 1;
    if (!slot_at(link, place)->first) {
        return 0;
    }
    while (!slot_at(link, place + count - 1)->last) {
        count++;
    }
    return count;
}

static bool goes_again(auricle_link *link, unsigned place, unsigned count) {
    bool begun = false;
    size_t length = 0;
    for (unsigned i = place; i < place + count; i++) {
        const auricle_send_slot *slot = slot_at(link, i);
        begun = begun || slot->sends > 0;
        length += slot->length;
        if (slot->length > link_fragment_bytes(link)) {
            return false;
        }
    }
    return count > 0 && length <= link->peer.message_bytes_max
           && (!begun || slot_at(link, place)->survives);
}

/* Restarts for a peer without state.  Returns the number of dropped messages. */
uint32_t sending_restart(auricle_link *link) {
    uint32_t given_up = 0;
    unsigned kept = 0;
    unsigned place = 0;
    while (place < link->waiting) {
        unsigned count = whole_message(link, place);
        bool again = goes_again(link, place, count);
        given_up += !again;
        if (count == 0) {
            while (!slot_at(link, place + count++)->last) {
            }
        }
        for (unsigned i = place; again && i < place + count; i++) {
            auricle_send_slot *slot = slot_at(link, kept++);
            if (slot != slot_at(link, i)) {
                *slot = *slot_at(link, i);
            }
            slot->sends = 0;
            slot->held = false;
            slot->due = true;
        }
        place += count;
    }
    link->waiting = (uint8_t)kept;
    sending_reset(link);
    return given_up;
}

/* Marks a slot as arrived.  Returns the order of its transmission, 0 if it was marked before. */
static uint32_t arrived(auricle_link *link, auricle_send_slot *slot, uint64_t now_ns) {
    if (slot->held || slot->sends == 0) {
        return 0;
    }
    slot->held = true;
    slot->due = false;
    judge(link, false);
    /* After a retransmission the round trip is ambiguous: a fallback if no other sample exists. */
    if (slot->sends == 1 || link->smoothed_ns == 0) {
        measure(link, now_ns > slot->sent_at_ns ? now_ns - slot->sent_at_ns : 1);
    } else if (link->backoff > 0) {
        link->backoff--;
    }
    return slot->order;
}

/* The peer accepts `credit` frames from `expected` on, at most CREDIT_MAX at once. */
void sending_allow(auricle_link *link, uint16_t expected, uint8_t credit) {
    link->limit = (uint16_t)(expected + (credit < CREDIT_MAX ? credit : CREDIT_MAX));
}

/* Returns the number of frames in flight. */
static unsigned in_flight(auricle_link *link) {
    unsigned count = 0;
    while (count < link->waiting && slot_at(link, count)->sends > 0) {
        count++;
    }
    return count;
}

bool sending_acknowledge(auricle_link *link, const frame_t *frame, uint32_t bitmap,
                         uint64_t now_ns) {
    unsigned flying = in_flight(link);
    uint16_t behind = (uint16_t)(link->base + flying - frame->acknowledged);
    uint32_t newest = 0;
    if (behind > flying) {
        /* A reordered older acknowledgement is valid. */
        return behind < 0x8000;
    }
    link->heard = true;
    sending_allow(link, frame->acknowledged, frame->credit);
    for (unsigned place = 0; place < flying; place++) {
        unsigned taken = flying - behind;
        if (place < taken || (place > taken && bitmap >> (place - taken - 1) & 1)) {
            uint32_t order = arrived(link, slot_at(link, place), now_ns);
            newest = order > newest ? order : newest;
        }
    }
    link->base = frame->acknowledged;
    link->oldest = (uint8_t)((link->oldest + flying - behind) % AURICLE_SEND_SLOTS);
    link->waiting = (uint8_t)(link->waiting - (flying - behind));
    for (unsigned place = 0; place < behind; place++) {
        auricle_send_slot *slot = slot_at(link, place);
        slot->due = slot->due || (!slot->held && slot->order + OVERTAKEN_MAX < newest);
    }
    if (frame->kind == FRAME_ACK && frame->first) {
        /* The peer received a duplicate. */
        slow_down(link, 2, BACKOFF_MAX);
    }
    return true;
}

static bool allowed(const auricle_link *link, unsigned place) {
    uint16_t room = (uint16_t)(link->limit - link->base);
    return room <= CREDIT_MAX && place < room;
}

static bool on_its_way(const auricle_send_slot *slot) {
    return slot->sends > 0 && !slot->held && !slot->due;
}

const auricle_send_slot *sending_next(auricle_link *link, uint64_t now_ns, uint16_t *sequence) {
    uint64_t wait = resend_ns(link);
    bool late = false;
    auricle_send_slot *next = NULL;
    for (unsigned place = link->waiting; place-- > 0;) {
        auricle_send_slot *slot = slot_at(link, place);
        if (on_its_way(slot) && slot->sent_at_ns + wait <= now_ns) {
            slot->due = late = true;
        }
        if (slot->due && (slot->sends > 0 || allowed(link, place))) {
            next = slot;
            *sequence = (uint16_t)(link->base + place);
        }
    }
    if (late && !link->heard) {
        slow_down(link, 1, SILENT_BACKOFF_MAX);
    }
    link->heard = link->heard && !late;
    if (next != NULL) {
        if (next->sends > 0) {
            link->counters.frames_resent++;
            judge(link, true);
        }
        next->order = ++link->order;
        next->sent_at_ns = now_ns;
        next->sends = next->sends == 0 ? 1 : 2;
        next->due = false;
    }
    return next;
}

uint64_t sending_wake_at(const auricle_link *link, uint64_t now_ns) {
    uint64_t wake = AURICLE_NEVER;
    uint64_t wait = resend_ns(link);
    for (unsigned place = 0; place < link->waiting; place++) {
        const auricle_send_slot *slot =
            &link->slots[(link->oldest + place) % AURICLE_SEND_SLOTS];
        uint64_t at = AURICLE_NEVER;
        if (slot->due && (slot->sends > 0 || allowed(link, place))) {
            at = now_ns;
        } else if (on_its_way(slot)) {
            at = slot->sent_at_ns + wait;
        }
        wake = at < wake ? at : wake;
    }
    return wake;
}
