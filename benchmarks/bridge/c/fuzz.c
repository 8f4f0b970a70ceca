/* Fuzzing of the link and the message codec.  A libFuzzer target with
 * clang -fsanitize=fuzzer.  With -DAURICLE_ALONE a program: fuzz COUNT SEED runs COUNT inputs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auricle_link.h"

enum { PEER = 0x1234, SELF = 0x77 };

static uint64_t messages_seen;

static void require(bool holds) {
    if (!holds) {
        abort();
    }
}

/* Reads every byte of a delivered message, and sends it again. */
static void handle(void *context, const auricle_event *event) {
    (void)context;
    if (event->kind == AURICLE_EVENT_MESSAGE) {
        uint8_t head[AURICLE_HEAD_BYTES_MAX];
        auricle_view tail;
        size_t length = auricle_message_encode(event->message, head, &tail);
        require(length > 0);
        messages_seen += auricle_crc32(0, tail.data, tail.length) != 1;
    }
}

static void decode_alone(const uint8_t *data, size_t length) {
    auricle_message message;
    if (auricle_message_decode(data, length, &message)) {
        uint8_t head[AURICLE_HEAD_BYTES_MAX];
        auricle_view tail;
        size_t head_length = auricle_message_encode(&message, head, &tail);
        require(head_length + tail.length == length);
        require(memcmp(head, data, head_length) == 0);
        require(tail.length == 0 || memcmp(tail.data, data + head_length, tail.length) == 0);
    }
}

/* A frame with a valid checksum around arbitrary bytes, as from a faulty peer. */
static void receive_checked(auricle_link *link, const uint8_t *body, size_t length, uint64_t now) {
    uint8_t wire[600];
    uint8_t pair[8] = {PEER & 255, PEER >> 8, 0, 0, SELF, 0, 0, 0};
    uint32_t key = (body[0] & 15) == 0 ? 0 : auricle_crc32(0, pair, sizeof pair);
    uint32_t crc = auricle_crc32(key, body, length);
    uint8_t check[4] = {(uint8_t)crc, (uint8_t)(crc >> 8), (uint8_t)(crc >> 16),
                        (uint8_t)(crc >> 24)};
    auricle_stuffer stuffer;
    auricle_stuff_begin(&stuffer, wire);
    auricle_stuff(&stuffer, body, length);
    auricle_stuff(&stuffer, check, sizeof check);
    auricle_link_receive(link, wire, auricle_stuff_end(&stuffer), now);
}

static void greet(auricle_link *link) {
    /* A hello with our session: versions 1 to 1, both sessions, 288 and 512 bytes. */
    static const uint8_t hello[] = {0, 32, 0, 0, 0, 0, 1, 1, PEER & 255, PEER >> 8, 0, 0,
                                    SELF, 0, 0, 0, 32, 1, 0, 2, 0, 0};
    receive_checked(link, hello, sizeof hello, 0);
    require(link->connected);
}

static void check(const auricle_link *link) {
    require(link->waiting <= AURICLE_SEND_SLOTS && link->oldest < AURICLE_SEND_SLOTS);
    require(link->message_length <= AURICLE_MESSAGE_BYTES_MAX);
    for (unsigned i = 0; i < AURICLE_EARLY_SLOTS; i++) {
        require(link->early[i].length <= AURICLE_PAYLOAD_BYTES_MAX);
    }
}

static size_t least(size_t one, size_t other) {
    return one < other ? one : other;
}

/* Executes the input: each operation is its code, a length and that many bytes. */
static void play(auricle_link *link, const uint8_t *data, size_t length) {
    uint64_t now = 0;
    uint8_t wire[AURICLE_WIRE_BYTES_MAX];
    auricle_message message;
    while (length >= 2) {
        unsigned operation = data[0] % 8;
        size_t size = least(data[1], length - 2);
        const uint8_t *bytes = data + 2;
        if (operation <= 1) {
            auricle_link_receive(link, bytes, size, now);
        } else if (operation <= 4 && size > 0) {
            receive_checked(link, bytes, size, now);
        } else if (operation == 5) {
            require(auricle_link_transmit(link, now, wire) <= sizeof wire);
            size = 0;
        } else if (operation == 6 && auricle_message_decode(bytes, size, &message)) {
            auricle_link_send(link, &message);
        } else if (operation == 7) {
            now += (uint64_t)data[1] << 24;
            size = 0;
            if (data[1] & 1) {
                auricle_link_pause(link);
            } else {
                auricle_link_resume(link, now);
            }
            (void)auricle_link_wake_at(link, now);
        }
        data += 2 + size;
        length -= 2 + size;
        check(link);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    static auricle_link link;
    if (length == 0) {
        return 0;
    }
    if (data[0] & 1) {
        decode_alone(data + 1, length - 1);
    } else {
        auricle_link_start(&link, SELF, handle, NULL);
        if (data[0] & 2) {
            greet(&link);
        }
        play(&link, data + 1, length - 1);
    }
    return 0;
}

#ifdef AURICLE_ALONE
enum { INPUT_BYTES_MAX = 1500 };

static uint64_t state;

static uint32_t draw(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

/* The start of the next data frame, with the start of a message with a known id. */
static void begin_frame(uint8_t *body, uint8_t sequence, bool whole) {
    static const uint8_t ids[] = {1, 1, 2, 3, 4, 5, 6, 7, 8, 16, 17, 18, 19, 20, 21, 99};
    body[0] = 0x11;
    /* Mostly whole messages, otherwise fragments. */
    body[1] = (uint8_t)(draw() % 4 ? whole ? 0x23 : sequence == 0 ? 0x21 : 0x20 : draw());
    body[2] = sequence;
    body[3] = body[5] = 0;
    body[4] = (uint8_t)(draw() % 3);
    body[6] = ids[draw() % sizeof ids];
    body[8] = (uint8_t)(draw() % 2 ? 1 : body[8]);
}

/* Random bytes with many small numbers, which reach more code. */
static size_t invent(uint8_t *data) {
    bool large = draw() % 8 == 0;
    size_t length = 1 + draw() % (large ? INPUT_BYTES_MAX : 200);
    for (size_t i = 0; i < length; i++) {
        uint32_t drawn = draw();
        data[i] = (uint8_t)(drawn & 0x300 ? drawn : drawn % 24);
    }
    data[0] = (uint8_t)(draw() % 4 ? 2 : draw());
    uint8_t sequence = 0;
    for (size_t at = 1; at + 12 < length;) {
        data[at] = large && draw() % 2 ? 2 : data[at];
        unsigned operation = data[at] % 8;
        if (operation >= 2 && operation <= 4) {
            data[at + 1] = (uint8_t)(7 + draw() % (large ? 240 : 60));
            uint8_t number = (uint8_t)(sequence + (draw() % 4 ? 0 : draw() % 4));
            begin_frame(data + at + 2, number, !large);
            sequence++;
        }
        at += operation == 5 || operation == 7 ? 2 : 2u + data[at + 1];
    }
    return length;
}

int main(int count, char **words) {
    uint64_t inputs = count > 1 ? strtoull(words[1], NULL, 10) : 1000000;
    state = count > 2 ? strtoull(words[2], NULL, 10) * 2654435769u + 1 : 1;
    static uint8_t data[INPUT_BYTES_MAX + 16];
    for (uint64_t i = 0; i < inputs; i++) {
        size_t length = invent(data);
        /* An exactly sized copy: the sanitizer detects reads past its end. */
        uint8_t *exact = malloc(length);
        memcpy(exact, data, length);
        LLVMFuzzerTestOneInput(exact, length);
        free(exact);
    }
    printf("%llu %llu\n", (unsigned long long)inputs, (unsigned long long)messages_seen);
    return 0;
}
#endif
