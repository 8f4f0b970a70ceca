/* A link in C behind standard input and output, so that Python can drive it.
 *
 * Request: operation, time (8 bytes), length (4 bytes), that many bytes; all little-endian.
 * Response: length (4 bytes), that many bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auricle_link.h"
#include "auricle_update.h"

enum { PAGE = 256, PAGES = 13 };

static uint8_t request[1 << 20];
static uint8_t answer[1 << 22];
static size_t answered;

static void put(uint64_t value, unsigned size) {
    for (unsigned i = 0; i < size; i++) {
        answer[answered++] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t get(const uint8_t *data, unsigned size) {
    uint64_t value = 0;
    while (size-- > 0) {
        value = value << 8 | data[size];
    }
    return value;
}

static uint8_t slots[2][PAGE * PAGES];

static bool erase(void *context, unsigned slot, uint32_t page) {
    (void)context;
    memset(slots[slot] + page * PAGE, 0xFF, PAGE);
    return true;
}

static bool write_words(void *context, unsigned slot, uint32_t offset, const uint8_t *data,
                        uint32_t length) {
    (void)context;
    memcpy(slots[slot] + offset, data, length);
    return true;
}

static void read_words(void *context, unsigned slot, uint32_t offset, uint8_t *data,
                       uint32_t length) {
    (void)context;
    memcpy(data, slots[slot] + offset, length);
}

static void put_message(const auricle_message *message) {
    auricle_view tail;
    size_t at = answered;
    answered += 4;
    answered += auricle_message_encode(message, answer + answered, &tail);
    if (tail.length > 0) {
        memcpy(answer + answered, tail.data, tail.length);
    }
    answered += tail.length;
    size_t end = answered;
    answered = at;
    put(end - at - 4, 4);
    answered = end;
}

static void handle(void *context, const auricle_event *event) {
    (void)context;
    put(event->kind, 1);
    switch (event->kind) {
    case AURICLE_EVENT_MESSAGE:
        put_message(event->message);
        break;
    case AURICLE_EVENT_CONNECTED:
        put(event->session, 4);
        put(event->restarted, 1);
        break;
    case AURICLE_EVENT_FAULT:
        put(event->fault, 1);
        break;
    case AURICLE_EVENT_UNDELIVERED:
        put(event->count, 4);
        break;
    case AURICLE_EVENT_SILENT:
        put(event->since_ns, 8);
        break;
    }
}

/* Decodes messages, each after its length (4 bytes); returns their C encoding, empty if refused. */
static void echo(const uint8_t *data, size_t length) {
    for (size_t at = 0; at < length;) {
        size_t size = get(data + at, 4);
        auricle_message message;
        /* An exactly sized block: the sanitizer detects reads past its end. */
        uint8_t *exact = malloc(size ? size : 1);
        memcpy(exact, data + at + 4, size);
        if (auricle_message_decode(exact, size, &message)) {
            put_message(&message);
        } else {
            put(0, 4);
        }
        free(exact);
        at += 4 + size;
    }
}

/* An updater: 'K' starts it on blank flash with a key, 'V' restarts it, 'U' passes a message. */
static void update(char operation, size_t length) {
    static const auricle_flash flash = {PAGE, PAGES, NULL, erase, write_words, read_words};
    static auricle_updater updater;
    static uint8_t key[32];
    auricle_message message, reply;
    if (operation == 'K') {
        memset(slots, 0xFF, sizeof slots);
        memcpy(key, request, sizeof key);
    }
    if (operation != 'U') {
        auricle_update_start(&updater, &flash, key);
    } else if (auricle_message_decode(request, length, &message)
               && auricle_update_handle(&updater, &message, &reply)) {
        put_message(&reply);
    }
}

static void obey(auricle_link *link, char operation, uint64_t now_ns, size_t length) {
    auricle_message message;
    switch (operation) {
    case 'B':
        auricle_link_start(link, (uint32_t)get(request, 4), handle, NULL);
        break;
    case 'R':
        auricle_link_receive(link, request, length, now_ns);
        break;
    case 'S':
        put(auricle_message_decode(request, length, &message)
                ? auricle_link_send(link, &message)
                : AURICLE_SEND_INVALID,
            1);
        break;
    case 'T':
        answered = auricle_link_transmit(link, now_ns, answer);
        break;
    case 'W':
        put(auricle_link_wake_at(link, now_ns), 8);
        break;
    case 'P':
        auricle_link_pause(link);
        break;
    case 'Q':
        auricle_link_resume(link, now_ns);
        break;
    case 'I':
        put(auricle_link_idle(link), 1);
        break;
    case 'C':
        message.id = AURICLE_COUNTERS;
        message.as.counters = link->counters;
        put_message(&message);
        break;
    case 'E':
        echo(request, length);
        break;
    default:
        update(operation, length);
    }
}

int main(void) {
    static auricle_link link;
    uint8_t head[13];
    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        size_t length = get(head + 9, 4);
        if (length > sizeof request || fread(request, 1, length, stdin) != length) {
            return 1;
        }
        answered = 0;
        obey(&link, (char)head[0], get(head + 1, 8), length);
        uint8_t size[4] = {(uint8_t)answered, (uint8_t)(answered >> 8), (uint8_t)(answered >> 16),
                           (uint8_t)(answered >> 24)};
        fwrite(size, 1, sizeof size, stdout);
        fwrite(answer, 1, answered, stdout);
        fflush(stdout);
    }
    return 0;
}
