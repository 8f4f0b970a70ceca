/* A sans-I/O link to the daemon: bytes in, events out; messages in, bytes out; time is an argument.
 * docs/explanation/wire.md describes the protocol; link.py is the same in Python.
 *
 * C99, no malloc, only string.h.  The caller owns the struct, which contains all buffers.  The
 * macros below set its size and can be defined on the compiler's command line.
 */
#ifndef AURICLE_LINK_H
#define AURICLE_LINK_H

#include "auricle_frames.h"
#include "auricle_messages.h"

/* Frames waiting or in flight; a long message takes several.  A noisy line has short frames; there
 * more slots give more throughput. */
#ifndef AURICLE_SEND_SLOTS
#define AURICLE_SEND_SLOTS 8
#endif
/* Early frames to buffer, 1 or more; others are retransmitted. */
#ifndef AURICLE_EARLY_SLOTS
#define AURICLE_EARLY_SLOTS 2
#endif
/* Frames that the peer may have in flight, 1 to 32. */
#ifndef AURICLE_CREDIT
#define AURICLE_CREDIT 8
#endif
/* The longest message accepted, after reassembly. */
#ifndef AURICLE_MESSAGE_BYTES_MAX
#define AURICLE_MESSAGE_BYTES_MAX 512
#endif

#define AURICLE_NEVER UINT64_MAX

typedef enum {
    AURICLE_EVENT_MESSAGE,     /* message: valid until the handler returns */
    AURICLE_EVENT_CONNECTED,   /* session; restarted: the peer was connected before */
    AURICLE_EVENT_FAULT,       /* fault: received bytes that were discarded */
    AURICLE_EVENT_UNDELIVERED, /* count: messages dropped at the peer's restart */
    AURICLE_EVENT_SILENT       /* since_ns: time of the last frame from the peer */
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

/* A handler may send, pause and resume; it must not receive or transmit. */
typedef void auricle_handler(void *context, const auricle_event *event);

typedef enum {
    AURICLE_SEND_TAKEN,
    AURICLE_SEND_FULL,    /* try later: no free slot */
    AURICLE_SEND_CLOSED,  /* try later: no peer is connected */
    AURICLE_SEND_INVALID, /* error: the table does not allow the message */
    AURICLE_SEND_TOO_LONG /* error: too long for the slots or the peer */
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

/* Callers may read `counters` and `connected`; everything else is private. */
typedef struct {
    auricle_handler *handle;
    void *context;
    auricle_counters counters;
    auricle_hello peer; /* session 0: unknown */
    uint32_t session, replaced[2];
    uint8_t version;
    bool connected, was_connected, paused;
    /* Times of the next hello and acknowledgement, and of the last frame sent and received. */
    uint64_t hello_at_ns, hello_ns, ack_at_ns, sent_at_ns, heard_at_ns;
    /* The pending time request. */
    bool time_requested;
    uint64_t requester_at_ns, request_heard_at_ns;
    /* Sending: a ring of slots, the oldest first. */
    auricle_send_slot slots[AURICLE_SEND_SLOTS];
    uint8_t oldest, waiting;
    uint16_t base, limit; /* number of the oldest frame; first number without credit */
    uint32_t order;
    uint64_t smoothed_ns, deviation_ns;
    uint8_t backoff;
    uint8_t tries, losses, shrink; /* transmissions recorded, those lost, halvings of a fragment */
    bool heard; /* a frame arrived since the timer expired */
    /* Receiving. */
    uint16_t expected;
    uint8_t unacknowledged;
    bool assembling, too_long, saw_again;
    auricle_early_slot early[AURICLE_EARLY_SLOTS];
    uint16_t message_length;
    uint8_t message[AURICLE_MESSAGE_BYTES_MAX];
    auricle_unstuffer unstuffer;
} auricle_link;

/* Initialises a link.  session: not 0, different after each start.  `handle` is called from receive
   and resume. */
void auricle_link_start(auricle_link *link, uint32_t session, auricle_handler *handle,
                        void *context);

/* Queues a message by copying it into free slots. */
auricle_send_result auricle_link_send(auricle_link *link, const auricle_message *message);

/* Processes bytes from the port.  Call it without bytes when auricle_link_wake_at has passed. */
void auricle_link_receive(auricle_link *link, const uint8_t *data, size_t length, uint64_t now_ns);

/* Writes the next frame for the port to `out`, which has room for AURICLE_WIRE_BYTES_MAX.  Returns
   its length, 0 if none is due. */
size_t auricle_link_transmit(auricle_link *link, uint64_t now_ns, uint8_t *out);

/* Returns the time of the next call at the latest. */
uint64_t auricle_link_wake_at(const auricle_link *link, uint64_t now_ns);

/* Stops delivery, and withdraws the peer's credit, until resume. */
void auricle_link_pause(auricle_link *link);
void auricle_link_resume(auricle_link *link, uint64_t now_ns);

/* Returns true if the peer has acknowledged everything. */
bool auricle_link_idle(const auricle_link *link);

#endif
