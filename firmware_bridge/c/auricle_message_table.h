/* The wire format of messages, for auricle_messages.c only. Generated from messages.py by scripts/generate_wire.py. */

/* Allowed codes of fields; each list begins with its length. */
static const uint8_t choices[] = {
    0,
    8, 1, 2, 4, 17, 18, 20, 36, 40, /* dtype */
    4, 0, 1, 2, 3, /* status */
    4, 0, 1, 2, 3, /* level */
    4, 0, 1, 2, 3, /* update_state */
    8, 0, 1, 2, 3, 4, 5, 6, 7, /* update_reason */
};

static const field_t fields[] = {
    {offsetof(auricle_hello, version_min), U8, 1, 0},
    {offsetof(auricle_hello, version_max), U8, 1, 0},
    {offsetof(auricle_hello, session), U32, 4, 0},
    {offsetof(auricle_hello, peer_session), U32, 4, 0},
    {offsetof(auricle_hello, frame_bytes_max), U16, 2, 0},
    {offsetof(auricle_hello, message_bytes_max), U32, 4, 0},
    {offsetof(auricle_hello, extension), BYTES, 0, 0},
    {offsetof(auricle_selective_ack, bitmap), U32, 4, 0},
    {offsetof(auricle_time_request, requested_at_ns), U64, 8, 0},
    {offsetof(auricle_time_reply, requested_at_ns), U64, 8, 0},
    {offsetof(auricle_time_reply, received_at_ns), U64, 8, 0},
    {offsetof(auricle_time_reply, replied_at_ns), U64, 8, 0},
    {offsetof(auricle_reading, stream), U8, 1, 0},
    {offsetof(auricle_reading, dtype), U8, 1, 1},
    {offsetof(auricle_reading, sequence), U32, 4, 0},
    {offsetof(auricle_reading, captured_at_ns), U64, 8, 0},
    {offsetof(auricle_reading, values), VECTOR, 0, 0},
    {offsetof(auricle_command, command_id), U32, 4, 0},
    {offsetof(auricle_command, action), U16, 2, 0},
    {offsetof(auricle_command, argument), BYTES, 0, 0},
    {offsetof(auricle_ack, command_id), U32, 4, 0},
    {offsetof(auricle_ack, status), U8, 1, 10},
    {offsetof(auricle_ack, detail), TEXT, 0, 0},
    {offsetof(auricle_actuate, command_id), U32, 4, 0},
    {offsetof(auricle_actuate, channel), U8, 1, 0},
    {offsetof(auricle_actuate, value), I32, 4, 0},
    {offsetof(auricle_stream_info, stream), U8, 1, 0},
    {offsetof(auricle_stream_info, dtype), U8, 1, 1},
    {offsetof(auricle_stream_info, length), U16, 2, 0},
    {offsetof(auricle_stream_info, period_us), U32, 4, 0},
    {offsetof(auricle_stream_info, name), TEXT, 0, 0},
    {offsetof(auricle_device_decision, stream), U8, 1, 0},
    {offsetof(auricle_device_decision, sequence), U32, 4, 0},
    {offsetof(auricle_device_decision, captured_at_ns), U64, 8, 0},
    {offsetof(auricle_device_decision, known), U8, 1, 0},
    {offsetof(auricle_device_decision, domain), U16, 2, 0},
    {offsetof(auricle_device_decision, label), U16, 2, 0},
    {offsetof(auricle_device_decision, score), I32, 4, 0},
    {offsetof(auricle_log, level), U8, 1, 15},
    {offsetof(auricle_log, logged_at_ns), U64, 8, 0},
    {offsetof(auricle_log, text), TEXT, 0, 0},
    {offsetof(auricle_counters, frames_sent), U32, 4, 0},
    {offsetof(auricle_counters, frames_resent), U32, 4, 0},
    {offsetof(auricle_counters, frames_received), U32, 4, 0},
    {offsetof(auricle_counters, frames_damaged), U32, 4, 0},
    {offsetof(auricle_counters, frames_repeated), U32, 4, 0},
    {offsetof(auricle_counters, messages_dropped), U32, 4, 0},
    {offsetof(auricle_counters, messages_refused), U32, 4, 0},
    {offsetof(auricle_update_begin, revision), U32, 4, 0},
    {offsetof(auricle_update_begin, body_bytes), U32, 4, 0},
    {offsetof(auricle_update_begin, digest), FIXED, 64, 0},
    {offsetof(auricle_update_begin, signature), FIXED, 64, 0},
    {offsetof(auricle_update_chunk, offset), U32, 4, 0},
    {offsetof(auricle_update_chunk, data), BYTES, 0, 0},
    {offsetof(auricle_update_commit, revision), U32, 4, 0},
    {offsetof(auricle_update_confirm, revision), U32, 4, 0},
    {offsetof(auricle_update_status, state), U8, 1, 20},
    {offsetof(auricle_update_status, reason), U8, 1, 25},
    {offsetof(auricle_update_status, running_revision), U32, 4, 0},
    {offsetof(auricle_update_status, update_revision), U32, 4, 0},
    {offsetof(auricle_update_status, offset), U32, 4, 0},
};

/* id, survives, first field, number of fields; records of the link come first. */
static const kind_t kinds[] = {
    {0, 0, 0, 7},
    {0, 0, 7, 1},
    {0, 0, 8, 1},
    {0, 0, 9, 3},
    {1, 1, 12, 5},
    {2, 0, 17, 3},
    {3, 0, 20, 3},
    {4, 0, 23, 3},
    {5, 1, 26, 5},
    {6, 1, 31, 7},
    {7, 1, 38, 3},
    {8, 0, 41, 7},
    {16, 0, 48, 4},
    {17, 0, 52, 2},
    {18, 0, 54, 1},
    {19, 0, 55, 1},
    {20, 0, 56, 0},
    {21, 0, 56, 5},
};

enum { LINK_KINDS = 4, KINDS = 18 };
