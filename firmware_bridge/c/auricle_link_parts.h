/* Internals shared by the files of the link. */
#ifndef AURICLE_LINK_PARTS_H
#define AURICLE_LINK_PARTS_H

#include "auricle_link.h"

enum { FRAME_HELLO, FRAME_DATA, FRAME_ACK, FRAME_TIME_REQUEST, FRAME_TIME_REPLY, FRAME_KINDS };

enum { CREDIT_MAX = 32 }; /* maximum number of frames in flight */

typedef struct {
    uint8_t kind, version, credit;
    bool first, last;
    uint16_t sequence, acknowledged;
    const uint8_t *payload;
    size_t length;
} frame_t;

void link_fault(auricle_link *link, auricle_fault fault);

/* auricle_sending.c */
void sending_reset(auricle_link *link);
uint32_t sending_restart(auricle_link *link);
void sending_allow(auricle_link *link, uint16_t expected, uint8_t credit);
bool sending_acknowledge(auricle_link *link, const frame_t *frame, uint32_t bitmap,
                         uint64_t now_ns);
const auricle_send_slot *sending_next(auricle_link *link, uint64_t now_ns, uint16_t *sequence);
uint64_t sending_wake_at(const auricle_link *link, uint64_t now_ns);
size_t link_fragment_bytes(const auricle_link *link);

/* auricle_receiving.c */
void receiving_reset(auricle_link *link);
void receiving_take(auricle_link *link, const frame_t *frame, uint64_t now_ns);
void receiving_flush(auricle_link *link, uint64_t now_ns);
uint32_t receiving_bitmap(const auricle_link *link);

#endif
