/* Message types. Generated from messages.py by scripts/generate_wire.py. */
#ifndef AURICLE_MESSAGES_H
#define AURICLE_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest fixed part of a message, id included, and of a record of the link. */
#define AURICLE_HEAD_BYTES_MAX 137
#define AURICLE_RECORD_BYTES_MAX 24

/* A reference to bytes: of the caller when sending, of the link when receiving,
   valid there until the handler returns. */
typedef struct {
    const uint8_t *data;
    size_t length;
} auricle_view;

enum {
    AURICLE_DTYPE_UINT8 = 1,
    AURICLE_DTYPE_UINT16 = 2,
    AURICLE_DTYPE_UINT32 = 4,
    AURICLE_DTYPE_INT8 = 17,
    AURICLE_DTYPE_INT16 = 18,
    AURICLE_DTYPE_INT32 = 20,
    AURICLE_DTYPE_FLOAT32 = 36,
    AURICLE_DTYPE_FLOAT64 = 40,
};

enum {
    AURICLE_STATUS_DONE = 0,
    AURICLE_STATUS_REFUSED = 1,
    AURICLE_STATUS_UNKNOWN = 2,
    AURICLE_STATUS_FAILED = 3,
};

enum {
    AURICLE_LEVEL_DEBUG = 0,
    AURICLE_LEVEL_INFO = 1,
    AURICLE_LEVEL_WARNING = 2,
    AURICLE_LEVEL_ERROR = 3,
};

enum {
    AURICLE_UPDATE_STATE_IDLE = 0,
    AURICLE_UPDATE_STATE_RECEIVING = 1,
    AURICLE_UPDATE_STATE_READY = 2,
    AURICLE_UPDATE_STATE_TRIAL = 3,
};

enum {
    AURICLE_UPDATE_REASON_NONE = 0,
    AURICLE_UPDATE_REASON_SIGNATURE = 1,
    AURICLE_UPDATE_REASON_DIGEST = 2,
    AURICLE_UPDATE_REASON_SIZE = 3,
    AURICLE_UPDATE_REASON_REVISION = 4,
    AURICLE_UPDATE_REASON_UNCONFIRMED = 5,
    AURICLE_UPDATE_REASON_FLASH = 6,
    AURICLE_UPDATE_REASON_UNEXPECTED = 7,
};

/* Opens a session. Its layout never changes; a later version adds to `extension`. */
typedef struct {
    uint8_t version_min; /* oldest supported version of the protocol */
    uint8_t version_max; /* newest supported version of the protocol */
    uint32_t session; /* not 0; different after each start */
    uint32_t peer_session; /* the peer's session, 0 if unknown */
    uint16_t frame_bytes_max; /* longest frame accepted, before stuffing */
    uint32_t message_bytes_max; /* longest message accepted, after reassembly */
    auricle_view extension; /* ignored */
} auricle_hello;

/* Lists the frames after the acknowledged ones that have arrived. */
typedef struct {
    uint32_t bitmap; /* bit i: frame acknowledged + 1 + i has arrived */
} auricle_selective_ack;

/* Requests the peer's clock. */
typedef struct {
    uint64_t requested_at_ns; /* the requester's clock at the request */
} auricle_time_request;

/* Replies to a time request. */
typedef struct {
    uint64_t requested_at_ns; /* copied from the request */
    uint64_t received_at_ns; /* the replier's clock when the request arrived */
    uint64_t replied_at_ns; /* the replier's clock at the reply */
} auricle_time_reply;

/* A measurement: a vector of numbers of one type. */
typedef struct {
    uint8_t stream; /* number of the stream on the device */
    uint8_t dtype; /* type of the values (codes: dtype) */
    uint32_t sequence; /* number of the reading in its stream, from 0 at start-up */
    uint64_t captured_at_ns; /* the device's clock at the measurement */
    auricle_view values; /* little-endian, without padding */
} auricle_reading;

/* Requests an action of the device's application; answered by an ack. */
typedef struct {
    uint32_t command_id; /* chosen by the sender, repeated in the ack */
    uint16_t action; /* the action; the application defines the numbers */
    auricle_view argument; /* the argument of the action */
} auricle_command;

/* The result of a command or an actuate. */
typedef struct {
    uint32_t command_id; /* chosen by the sender, repeated in the ack */
    uint8_t status; /* the outcome (codes: status) */
    auricle_view detail; /* the reason, as text for a person */
} auricle_ack;

/* Sets an output of the device; answered by an ack. */
typedef struct {
    uint32_t command_id; /* chosen by the sender, repeated in the ack */
    uint8_t channel; /* number of the output on the device */
    int32_t value; /* the new value, in the output's unit */
} auricle_actuate;

/* Announces a stream; sent when a session opens. */
typedef struct {
    uint8_t stream; /* number of the stream on the device */
    uint8_t dtype; /* type of its values (codes: dtype) */
    uint16_t length; /* values in a reading; 0: variable */
    uint32_t period_us; /* time between two readings; 0: variable */
    auricle_view name; /* the stream's name */
} auricle_stream_info;

/* The verdict of the device's own detector on a reading. */
typedef struct {
    uint8_t stream; /* number of the stream on the device */
    uint32_t sequence; /* number of the reading in its stream, from 0 at start-up */
    uint64_t captured_at_ns; /* the device's clock at the measurement */
    uint8_t known; /* 1: known, 0: novel, 2: undecided (too few calibration samples) */
    uint16_t domain; /* number of the nearest domain in the exported knowledge */
    uint16_t label; /* number of the answered label; 65535: abstains */
    int32_t score; /* the detector's integer score */
} auricle_device_decision;

/* A line of the device's log. */
typedef struct {
    uint8_t level; /* the severity (codes: level) */
    uint64_t logged_at_ns; /* the device's clock */
    auricle_view text; /* what happened */
} auricle_log;

/* The counters of the device's link since its start. */
typedef struct {
    uint32_t frames_sent; /* frames sent, including retransmissions */
    uint32_t frames_resent; /* frames retransmitted */
    uint32_t frames_received; /* valid frames received */
    uint32_t frames_damaged; /* blocks that are not a frame of this session */
    uint32_t frames_repeated; /* duplicate frames received */
    uint32_t messages_dropped; /* messages dropped: no room, or a restart */
    uint32_t messages_refused; /* received messages that the table does not allow */
} auricle_counters;

/* Offers a model; the fields before `signature` are signed. */
typedef struct {
    uint32_t revision; /* the model's revision; it only increases */
    uint32_t body_bytes; /* length of the model */
    uint8_t digest[64]; /* SHA-512 of the model */
    uint8_t signature[64]; /* Ed25519 over auricle-model-1 and the fields above */
} auricle_update_begin;

/* A part of the model. */
typedef struct {
    uint32_t offset; /* position of its first byte in the model */
    auricle_view data; /* the part */
} auricle_update_chunk;

/* All parts are sent: verify the model and try it at the next start. */
typedef struct {
    uint32_t revision; /* the model's revision; it only increases */
} auricle_update_commit;

/* The model on trial works: keep it. */
typedef struct {
    uint32_t revision; /* the model's revision; it only increases */
} auricle_update_confirm;

/* The state of the update; the answer to every update message. */
typedef struct {
    uint8_t state; /* the state of the update (codes: update_state) */
    uint8_t reason; /* the reason of a refusal (codes: update_reason) */
    uint32_t running_revision; /* revision in use; 0: none */
    uint32_t update_revision; /* revision being received or on trial; 0: none */
    uint32_t offset; /* bytes of the update stored in flash: continue from here */
} auricle_update_status;

enum {
    AURICLE_RECORD_HELLO = 0,
    AURICLE_RECORD_SELECTIVE_ACK = 1,
    AURICLE_RECORD_TIME_REQUEST = 2,
    AURICLE_RECORD_TIME_REPLY = 3,
};

enum {
    AURICLE_READING = 1,
    AURICLE_COMMAND = 2,
    AURICLE_ACK = 3,
    AURICLE_ACTUATE = 4,
    AURICLE_STREAM_INFO = 5,
    AURICLE_DEVICE_DECISION = 6,
    AURICLE_LOG = 7,
    AURICLE_COUNTERS = 8,
    AURICLE_UPDATE_BEGIN = 16,
    AURICLE_UPDATE_CHUNK = 17,
    AURICLE_UPDATE_COMMIT = 18,
    AURICLE_UPDATE_CONFIRM = 19,
    AURICLE_UPDATE_QUERY = 20,
    AURICLE_UPDATE_STATUS = 21,
};

/* One message of any kind; `id` selects the member. */
typedef struct {
    uint8_t id;
    union {
        auricle_reading reading;
        auricle_command command;
        auricle_ack ack;
        auricle_actuate actuate;
        auricle_stream_info stream_info;
        auricle_device_decision device_decision;
        auricle_log log;
        auricle_counters counters;
        auricle_update_begin update_begin;
        auricle_update_chunk update_chunk;
        auricle_update_commit update_commit;
        auricle_update_confirm update_confirm;
        auricle_update_status update_status;
    } as;
} auricle_message;

/* Writes the message's id and fixed fields to `out`, which has room for AURICLE_HEAD_BYTES_MAX, and
   points `tail` to its variable field.  Returns the number of bytes written, or 0 if the table does
   not allow a value. */
size_t auricle_message_encode(const auricle_message *message, uint8_t *out, auricle_view *tail);

/* Reads a message; false if the table does not allow these bytes.  Views point into `data`. */
bool auricle_message_decode(const uint8_t *data, size_t length, auricle_message *message);

/* True if a message with this id is retransmitted to a peer that restarted. */
bool auricle_message_survives(uint8_t id);

/* Records of the link, by AURICLE_RECORD number. */
size_t auricle_record_encode(uint8_t record, const void *value, uint8_t *out);
bool auricle_record_decode(uint8_t record, const uint8_t *data, size_t length, void *value);

#endif
