/* A link to the daemon without any input or output of its own: bytes in -> events, messages in ->
 * bytes to send, time as a number.  docs/explanation/wire.md says what travels; link.py is the same in Python.
 *
 * C99, no malloc, nothing but string.h.  The caller owns the struct, which holds every buffer; its
 * size follows from the macros below, which may be set on the compiler's command line.
 */
#ifndef AURICLE_LINK_H
#define AURICLE_LINK_H

#include "auricle_frames.h"
#include "auricle_messages.h"

/* Frames that wait or are on their way; a longer message is cut into several.  On a bad line, where
 * frames are short, more of them carry more. */
#ifndef AURICLE_SEND_SLOTS
#define AURICLE_SEND_SLOTS 8
#endif
/* Frames kept that came before their turn, 1 or more; others are sent again. */
#ifndef AURICLE_EARLY_SLOTS
#define AURICLE_EARLY_SLOTS 2
#endif
/* Frames that the peer may have on their way to us; 1 to 32. */
#ifndef AURICLE_CREDIT
#define AURICLE_CREDIT 8
#endif
/* The longest message put together from fragments. */
#ifndef AURICLE_MESSAGE_BYTES_MAX
#define AURICLE_MESSAGE_BYTES_MAX 512
#endif

#define AURICLE_NEVER UINT64_MAX

typedef enum {
    AURICLE_EVENT_MESSAGE,     /* message: there until the handler returns */
    AURICLE_EVENT_CONNECTED,   /* session; restarted: it was connected before */
    AURICLE_EVENT_FAULT,       /* fault: received bytes that were not used */
    AURICLE_EVENT_UNDELIVERED, /* count: messages given up at the peer's restart */
    AURICLE_EVENT_SILENT       /* since_ns: nothing heard from the peer since then */
} auricle_event_kind;

typedef enum {
    AURICLE_FAULT_FRAMING,
    AURICLE_FAULT_CHECKSUM,
    AURICLE_FAULT_VERSION,
    AURICLE_FAULT_KIND,
    AURICLE_FAULT_WINDOW,
    AURICLE_FAULT_FRAGMENT,
    AURICLE_FAULT_MESSAGE,
    AURICLE_FAULT_SESSION
} auricle_fault;

typedef struct {
    auricle_event_kind kind;
    auricle_fault fault;
    bool restarted;
    uint32_t count;
    uint32_t session;
    uint64_t since_ns;
    const auricle_message *message;
} auricle_event;

/* May send, pause and resume; must not receive or transmit. */
typedef void auricle_handler(void *context, const auricle_event *event);

typedef enum {
    AURICLE_SEND_TAKEN,
    AURICLE_SEND_FULL,    /* later: no slot is free now */
    AURICLE_SEND_CLOSED,  /* later: nobody is connected */
    AURICLE_SEND_INVALID, /* never: its table does not allow it */
    AURICLE_SEND_TOO_LONG /* never: it does not fit the slots, or the peer */
} auricle_send_result;

typedef struct {
    uint64_t sent_at_ns;
    uint32_t order;
    uint16_t length;
    uint8_t sends; /* 0, 1, 2: or more */
    bool first, last, survives, held, due;
    uint8_t payload[AURICLE_PAYLOAD_BYTES_MAX];
} auricle_send_slot;

typedef struct {
    uint16_t sequence, length;
    bool used, first, last;
    uint8_t payload[AURICLE_PAYLOAD_BYTES_MAX];
} auricle_early_slot;

/* Nothing in here is for the caller but `counters` and `connected`, to read. */
typedef struct {
    auricle_handler *handle;
    void *context;
    auricle_counters counters;
    auricle_hello peer; /* session 0: unknown */
    uint32_t session, replaced[2];
    uint8_t version;
    bool connected, was_connected, paused;
    /* When to say hello, to acknowledge; when something was sent, heard. */
    uint64_t hello_at_ns, hello_ns, ack_at_ns, sent_at_ns, heard_at_ns;
    /* What to answer a question for the time. */
    bool asked;
    uint64_t asked_at_ns, asked_heard_at_ns;
    /* Sending: a ring of slots, the oldest first. */
    auricle_send_slot slots[AURICLE_SEND_SLOTS];
    uint8_t oldest, waiting;
    uint16_t base, limit; /* number of the oldest frame; first number not allowed yet */
    uint32_t order;
    uint64_t smoothed_ns, deviation_ns;
    uint8_t backoff;
    uint8_t tries, losses, shrink; /* transmissions judged, those lost, halvings of a fragment */
    bool heard; /* something since the timer ran out */
    /* Receiving. */
    uint16_t expected;
    uint8_t unacknowledged;
    bool assembling, too_long, saw_again;
    auricle_early_slot early[AURICLE_EARLY_SLOTS];
    uint16_t message_length;
    uint8_t message[AURICLE_MESSAGE_BYTES_MAX];
    auricle_unstuffer unstuffer;
} auricle_link;

/* session: not 0, and another number after each start.  `handle` is called from receive and
   resume. */
void auricle_link_start(auricle_link *link, uint32_t session, auricle_handler *handle,
                        void *context);

/* Copies the message into free slots. */
auricle_send_result auricle_link_send(auricle_link *link, const auricle_message *message);

/* What came from the port; also with nothing, when auricle_link_wake_at has passed. */
void auricle_link_receive(auricle_link *link, const uint8_t *data, size_t length, uint64_t now_ns);

/* The next frame to write to the port, 0 where there is none now.  `out` has room for
   AURICLE_WIRE_BYTES_MAX. */
size_t auricle_link_transmit(auricle_link *link, uint64_t now_ns, uint8_t *out);

/* When to call again at the latest. */
uint64_t auricle_link_wake_at(const auricle_link *link, uint64_t now_ns);

/* Hold messages back, and have the peer hold its own back, until resume. */
void auricle_link_pause(auricle_link *link);
void auricle_link_resume(auricle_link *link, uint64_t now_ns);

/* Whether all that was sent has been acknowledged. */
bool auricle_link_idle(const auricle_link *link);

#endif
