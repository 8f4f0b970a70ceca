/* The reference application: decides on one stream of samples and sends both over the link. */
#include "auricle_app.h"

#include "auricle_board.h"
#include "auricle_knowledge.h"
#include "auricle_link.h"

#define STREAM 0
#define READ_BYTES 64

static auricle_extract extract;
static auricle_link wire;
static uint8_t features[AURICLE_WIDTH];
static uint32_t bits[AURICLE_HYPERVECTOR_WORDS], work[AURICLE_WORK_WORDS];
static uint8_t frame[AURICLE_WIRE_BYTES_MAX];
static size_t frame_length, frame_sent;
static uint32_t sequence;
static bool streaming, readings = true;
static auricle_app_handler *others;

static void acknowledge(uint32_t command_id, bool done)
{
    auricle_message answer = {.id = AURICLE_ACK};
    answer.as.ack.command_id = command_id;
    answer.as.ack.status = done ? AURICLE_STATUS_DONE : AURICLE_STATUS_UNKNOWN;
    auricle_link_send(&wire, &answer);
}

static bool act(const auricle_command *command)
{
    bool on = command->argument.length == 1 && command->argument.data[0] != 0;
    if (command->argument.length != 1) {
        return false;
    }
    if (command->action == AURICLE_ACTION_STREAM) {
        streaming = on;
    } else if (command->action == AURICLE_ACTION_READINGS) {
        readings = on;
    } else {
        return false;
    }
    return true;
}

static void introduce(void)
{
    static const uint8_t name[] = "features";
    auricle_message info = {.id = AURICLE_STREAM_INFO};
    info.as.stream_info.stream = STREAM;
    info.as.stream_info.dtype = AURICLE_DTYPE_UINT8;
    info.as.stream_info.length = AURICLE_WIDTH;
    info.as.stream_info.name.data = name;
    info.as.stream_info.name.length = sizeof name - 1;
    auricle_link_send(&wire, &info);
}

static void handle(void *context, const auricle_event *event)
{
    (void)context;
    if (event->kind == AURICLE_EVENT_CONNECTED) {
        introduce();
    } else if (event->kind == AURICLE_EVENT_MESSAGE) {
        const auricle_message *message = event->message;
        if (message->id == AURICLE_COMMAND) {
            acknowledge(message->as.command.command_id, act(&message->as.command));
        } else if (message->id == AURICLE_ACTUATE) {
            const auricle_actuate *wanted = &message->as.actuate;
            acknowledge(wanted->command_id, board_set(wanted->channel, wanted->value));
        } else if (others) {
            auricle_message answer;
            if (others(message, &answer)) {
                auricle_link_send(&wire, &answer);
            }
        }
    }
}

/* A reading without room is dropped; the host detects the gap in the numbers and reports it. */
static void send_reading(uint64_t captured_at_ns)
{
    auricle_message message = {.id = AURICLE_READING};
    message.as.reading.stream = STREAM;
    message.as.reading.dtype = AURICLE_DTYPE_UINT8;
    message.as.reading.sequence = sequence;
    message.as.reading.captured_at_ns = captured_at_ns;
    message.as.reading.values.data = features;
    message.as.reading.values.length = AURICLE_WIDTH;
    auricle_link_send(&wire, &message);
}

static void send_decision(uint64_t captured_at_ns, const auricle_decision *made)
{
    auricle_message message = {.id = AURICLE_DEVICE_DECISION};
    message.as.device_decision.stream = STREAM;
    message.as.device_decision.sequence = sequence;
    message.as.device_decision.captured_at_ns = captured_at_ns;
    message.as.device_decision.known = made->known;
    message.as.device_decision.domain = made->domain;
    message.as.device_decision.label = made->answer;
    message.as.device_decision.score = made->score;
    auricle_link_send(&wire, &message);
}

int auricle_app_open(const void *knowledge, uint32_t bytes)
{
    auricle_extract opened;
    int error = AURICLE_OPEN(&opened, knowledge, bytes);
    if (error == AURICLE_OK
        && (opened.width != AURICLE_WIDTH || opened.tap.bits / 32 > AURICLE_HYPERVECTOR_WORDS
            || opened.work_bytes > sizeof work)) {
        error = AURICLE_INCONSISTENT;
    }
    if (error == AURICLE_OK) {
        extract = opened;
    }
    return error;
}

void auricle_app_extend(auricle_app_handler *handler)
{
    others = handler;
}

int auricle_app_start(const void *knowledge, uint32_t bytes)
{
    auricle_link_start(&wire, board_session(), handle, NULL);
    return auricle_app_open(knowledge, bytes);
}

void auricle_app_turn(void)
{
    uint8_t data[READ_BYTES];
    uint64_t now_ns = board_now_ns();
    auricle_link_receive(&wire, data, board_read(data, sizeof data), now_ns);
    if (streaming && wire.connected && auricle_link_idle(&wire) && board_sample(features)) {
        auricle_decision made;
        auricle_decide(&extract, features, bits, work, &made);
        if (readings) {
            send_reading(now_ns);
        }
        send_decision(now_ns, &made);
        sequence++;
    }
    if (frame_sent == frame_length) {
        frame_length = auricle_link_transmit(&wire, now_ns, frame);
        frame_sent = 0;
    }
    frame_sent += board_write(frame + frame_sent, frame_length - frame_sent);
}
