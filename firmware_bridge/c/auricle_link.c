/* The link: sessions, timers, and the handling of each kind of frame. */
#include "auricle_link.h"

#include <string.h>

#include "auricle_link_parts.h"

#define HELLO_NS_MIN 250000000u
#define HELLO_NS_MAX 2000000000u
#define KEEP_ALIVE_NS 1000000000u
#define SILENCE_NS 5000000000u
enum { VERSION_MIN = 1, VERSION_MAX = 1, FRAME_BYTES_MIN = 64 };

void link_fault(auricle_link *link, auricle_fault fault) {
    auricle_event event = {.kind = AURICLE_EVENT_FAULT, .fault = fault};
    link->handle(link->context, &event);
}

static void damaged(auricle_link *link, auricle_fault fault) {
    link->counters.frames_damaged++;
    link_fault(link, fault);
}

void auricle_link_start(auricle_link *link, uint32_t session, auricle_handler *handle,
                        void *context) {
    memset(link, 0, sizeof *link);
    link->session = session;
    link->handle = handle;
    link->context = context;
    link->hello_ns = HELLO_NS_MIN;
    link->heard_at_ns = AURICLE_NEVER;
    receiving_reset(link);
}

void auricle_link_pause(auricle_link *link) {
    link->paused = true;
}

void auricle_link_resume(auricle_link *link, uint64_t now_ns) {
    link->paused = false;
    link->ack_at_ns = now_ns;
    receiving_flush(link, now_ns);
}

bool auricle_link_idle(const auricle_link *link) {
    return link->waiting == 0;
}

static uint16_t word(const uint8_t *data) {
    return (uint16_t)(data[0] | data[1] << 8);
}

static uint32_t long_word(const uint8_t *data) {
    return word(data) | (uint32_t)word(data + 2) << 16;
}

/* Returns the initial checksum of frames from session `sender` to session `receiver`. */
static uint32_t session_key(uint32_t sender, uint32_t receiver) {
    uint8_t pair[8];
    for (unsigned i = 0; i < 4; i++) {
        pair[i] = (uint8_t)(sender >> (8 * i));
        pair[4 + i] = (uint8_t)(receiver >> (8 * i));
    }
    return auricle_crc32(0, pair, sizeof pair);
}

static void connect(auricle_link *link) {
    if (!link->connected) {
        auricle_event event = {.kind = AURICLE_EVENT_CONNECTED,
                               .session = link->peer.session,
                               .restarted = link->was_connected};
        link->connected = link->was_connected = true;
        link->hello_at_ns = AURICLE_NEVER;
        link->handle(link->context, &event);
    }
}

static void adopt(auricle_link *link, const auricle_hello *hello, const frame_t *frame) {
    if (link->peer.session != 0) {
        link->replaced[0] = link->replaced[1];
        link->replaced[1] = link->peer.session;
    }
    link->peer = *hello;
    link->peer.extension.data = NULL;
    link->version = hello->version_max < VERSION_MAX ? hello->version_max : VERSION_MAX;
    link->connected = link->time_requested = false;
    link->hello_ns = HELLO_NS_MIN;
    receiving_reset(link);
    auricle_event event = {.kind = AURICLE_EVENT_UNDELIVERED, .count = sending_restart(link)};
    sending_allow(link, 0, frame->credit);
    link->counters.messages_dropped += event.count;
    if (event.count > 0) {
        link->handle(link->context, &event);
    }
}

static bool replaced(const auricle_link *link, uint32_t session) {
    return session == link->replaced[0] || session == link->replaced[1];
}

/* Ignores our own hello if it is reflected, and the hello of a replaced session while its successor
   is active. */
static bool acceptable(const auricle_link *link, const auricle_hello *hello) {
    bool ended = replaced(link, hello->session) && link->heard_at_ns != AURICLE_NEVER;
    bool own = hello->session == 0 || hello->session == link->session;
    return !ended && !own && hello->frame_bytes_max >= FRAME_BYTES_MIN;
}

/* A late hello of an ended session replaced an active one.  The peer is still in the session with
   us, so ours must end: both windows restart. */
static void return_to(auricle_link *link, uint32_t session) {
    uint8_t old[4];
    if (link->replaced[1] == session) {
        link->replaced[1] = link->replaced[0];
    }
    link->replaced[0] = 0;
    for (unsigned i = 0; i < 4; i++) {
        old[i] = (uint8_t)(link->session >> (8 * i));
    }
    link->session = auricle_crc32(0, old, sizeof old);
    link->session += link->session == 0;
}

static void meet(auricle_link *link, const frame_t *frame, uint64_t now_ns) {
    auricle_hello hello;
    if (!auricle_record_decode(AURICLE_RECORD_HELLO, frame->payload, frame->length, &hello)
        || !acceptable(link, &hello)) {
        damaged(link, AURICLE_FAULT_SESSION);
        return;
    }
    if (hello.version_max < VERSION_MIN || hello.version_min > VERSION_MAX
        || hello.version_min > hello.version_max) {
        damaged(link, AURICLE_FAULT_VERSION);
        return;
    }
    if (replaced(link, hello.session)) {
        return_to(link, hello.session);
    }
    link->counters.frames_received++;
    link->heard_at_ns = now_ns;
    if (hello.session != link->peer.session) {
        adopt(link, &hello, frame);
    }
    if (hello.peer_session != link->session) {
        link->hello_at_ns = now_ns;
    } else if (!link->connected) {
        connect(link);
        link->hello_at_ns = now_ns;
    }
}

static void use(auricle_link *link, const frame_t *frame, uint64_t now_ns) {
    auricle_selective_ack held = {0};
    auricle_time_request ask;
    if (frame->kind == FRAME_ACK
        && !auricle_record_decode(AURICLE_RECORD_SELECTIVE_ACK, frame->payload, frame->length,
                                  &held)) {
        held.bitmap = 0;
    }
    if (!sending_acknowledge(link, frame, held.bitmap, now_ns)) {
        link_fault(link, AURICLE_FAULT_WINDOW);
    }
    if (frame->kind == FRAME_DATA) {
        receiving_take(link, frame, now_ns);
    } else if (frame->kind == FRAME_TIME_REQUEST
               && auricle_record_decode(AURICLE_RECORD_TIME_REQUEST, frame->payload, frame->length,
                                        &ask)) {
        link->time_requested = true;
        link->requester_at_ns = ask.requested_at_ns;
        link->request_heard_at_ns = now_ns;
    }
}

static void take(auricle_link *link, const uint8_t *block, size_t length, uint64_t now_ns) {
    if (length < AURICLE_OVERHEAD_BYTES) {
        damaged(link, AURICLE_FAULT_FRAMING);
        return;
    }
    frame_t frame = {
        .kind = block[0] & 15,
        .version = block[0] >> 4,
        .first = block[1] & 1,
        .last = block[1] >> 1 & 1,
        .credit = block[1] >> 2,
        .sequence = word(block + 2),
        .acknowledged = word(block + 4),
        .payload = block + AURICLE_HEADER_BYTES,
        .length = length - AURICLE_OVERHEAD_BYTES,
    };
    bool known = frame.kind == FRAME_HELLO || link->peer.session != 0;
    uint32_t key = frame.kind == FRAME_HELLO ? 0 : session_key(link->peer.session, link->session);
    if (!known || auricle_crc32(key, block, length - 4) != long_word(block + length - 4)) {
        damaged(link, AURICLE_FAULT_CHECKSUM);
    } else if (frame.kind >= FRAME_KINDS) {
        damaged(link, AURICLE_FAULT_KIND);
    } else if (frame.kind == FRAME_HELLO) {
        meet(link, &frame, now_ns);
    } else if (frame.version != link->version) {
        damaged(link, AURICLE_FAULT_VERSION);
    } else {
        link->counters.frames_received++;
        link->heard_at_ns = now_ns;
        connect(link);
        link->hello_ns = HELLO_NS_MIN;
        use(link, &frame, now_ns);
    }
}

void auricle_link_receive(auricle_link *link, const uint8_t *data, size_t length,
                          uint64_t now_ns) {
    for (size_t i = 0; i < length; i++) {
        size_t block_length = 0;
        int found = auricle_unstuff(&link->unstuffer, data[i], &block_length);
        if (found == AURICLE_BLOCK_WHOLE) {
            take(link, link->unstuffer.block, block_length, now_ns);
        } else if (found == AURICLE_BLOCK_BAD) {
            damaged(link, AURICLE_FAULT_FRAMING);
        }
    }
    if (link->heard_at_ns != AURICLE_NEVER && now_ns - link->heard_at_ns >= SILENCE_NS) {
        auricle_event event = {.kind = AURICLE_EVENT_SILENT, .since_ns = link->heard_at_ns};
        link->heard_at_ns = AURICLE_NEVER;
        link->hello_at_ns = now_ns;
        link->handle(link->context, &event);
    }
}

/* Writes a frame for the wire: the header, then the payload. */
static size_t emit(auricle_link *link, const frame_t *frame, uint64_t now_ns, uint8_t *out) {
    uint8_t credit = link->paused ? 0 : AURICLE_CREDIT;
    uint8_t header[AURICLE_HEADER_BYTES] = {
        (uint8_t)(frame->kind | frame->version << 4),
        (uint8_t)(frame->first | frame->last << 1 | credit << 2),
        (uint8_t)frame->sequence,
        (uint8_t)(frame->sequence >> 8),
        (uint8_t)link->expected,
        (uint8_t)(link->expected >> 8),
    };
    bool hello = frame->kind == FRAME_HELLO;
    uint32_t crc = hello ? 0 : session_key(link->session, link->peer.session);
    crc = auricle_crc32(crc, header, sizeof header);
    crc = auricle_crc32(crc, frame->payload, frame->length);
    uint8_t check[4] = {(uint8_t)crc, (uint8_t)(crc >> 8), (uint8_t)(crc >> 16),
                        (uint8_t)(crc >> 24)};
    auricle_stuffer stuffer;
    if (hello) {
        /* The zero ends any line noise before the hello. */
        *out++ = 0;
    } else {
        link->unacknowledged = 0;
        link->saw_again = false;
        link->ack_at_ns = AURICLE_NEVER;
    }
    auricle_stuff_begin(&stuffer, out);
    auricle_stuff(&stuffer, header, sizeof header);
    auricle_stuff(&stuffer, frame->payload, frame->length);
    auricle_stuff(&stuffer, check, sizeof check);
    link->sent_at_ns = now_ns;
    link->counters.frames_sent++;
    return hello + auricle_stuff_end(&stuffer);
}

static size_t emit_record(auricle_link *link, uint8_t kind, uint8_t record, const void *value,
                          uint64_t now_ns, uint8_t *out) {
    uint8_t payload[AURICLE_RECORD_BYTES_MAX];
    frame_t frame = {.kind = kind,
                     .first = kind == FRAME_ACK && link->saw_again,
                     .version = kind == FRAME_HELLO ? 0 : link->version,
                     .payload = payload,
                     .length = auricle_record_encode(record, value, payload)};
    return emit(link, &frame, now_ns, out);
}

static size_t emit_hello(auricle_link *link, uint64_t now_ns, uint8_t *out) {
    auricle_hello hello = {.version_min = VERSION_MIN,
                           .version_max = VERSION_MAX,
                           .session = link->session,
                           .peer_session = link->peer.session,
                           .frame_bytes_max = AURICLE_FRAME_BYTES_MAX,
                           .message_bytes_max = AURICLE_MESSAGE_BYTES_MAX};
    bool heard = link->connected && link->heard_at_ns != AURICLE_NEVER;
    link->hello_at_ns = heard ? AURICLE_NEVER : now_ns + link->hello_ns;
    link->hello_ns = link->hello_ns < HELLO_NS_MAX / 2 ? 2 * link->hello_ns : HELLO_NS_MAX;
    return emit_record(link, FRAME_HELLO, AURICLE_RECORD_HELLO, &hello, now_ns, out);
}

static size_t emit_ack(auricle_link *link, uint64_t now_ns, uint8_t *out) {
    auricle_selective_ack held = {receiving_bitmap(link)};
    return emit_record(link, FRAME_ACK, AURICLE_RECORD_SELECTIVE_ACK, &held, now_ns, out);
}

static size_t emit_time(auricle_link *link, uint64_t now_ns, uint8_t *out) {
    auricle_time_reply reply = {link->requester_at_ns, link->request_heard_at_ns, now_ns};
    link->time_requested = false;
    return emit_record(link, FRAME_TIME_REPLY, AURICLE_RECORD_TIME_REPLY, &reply, now_ns, out);
}

size_t auricle_link_transmit(auricle_link *link, uint64_t now_ns, uint8_t *out) {
    frame_t frame = {.kind = FRAME_DATA, .version = link->version};
    bool ack_due = link->ack_at_ns <= now_ns;
    if (link->hello_at_ns <= now_ns) {
        return emit_hello(link, now_ns, out);
    }
    if (!link->connected) {
        return 0;
    }
    if (ack_due && (link->saw_again || receiving_bitmap(link) != 0)) {
        return emit_ack(link, now_ns, out);
    }
    if (link->time_requested) {
        return emit_time(link, now_ns, out);
    }
    const auricle_send_slot *slot = sending_next(link, now_ns, &frame.sequence);
    if (slot != NULL) {
        frame.first = slot->first;
        frame.last = slot->last;
        frame.payload = slot->payload;
        frame.length = slot->length;
        return emit(link, &frame, now_ns, out);
    }
    return ack_due || now_ns - link->sent_at_ns >= KEEP_ALIVE_NS ? emit_ack(link, now_ns, out) : 0;
}

static uint64_t earlier(uint64_t one, uint64_t other) {
    return one < other ? one : other;
}

uint64_t auricle_link_wake_at(const auricle_link *link, uint64_t now_ns) {
    uint64_t wake = link->hello_at_ns;
    if (link->connected) {
        wake = earlier(wake, link->sent_at_ns + KEEP_ALIVE_NS);
        wake = earlier(wake, link->ack_at_ns);
        wake = earlier(wake, sending_wake_at(link, now_ns));
        wake = link->time_requested ? now_ns : wake;
    }
    if (link->heard_at_ns != AURICLE_NEVER) {
        wake = earlier(wake, link->heard_at_ns + SILENCE_NS);
    }
    return wake;
}
