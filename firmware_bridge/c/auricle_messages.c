/* Messages <-> bytes: one encoder and one decoder that follow the generated table. */
#include "auricle_messages.h"

#include <string.h>

enum { U8, U16, U32, U64, I32, FIXED, BYTES, TEXT, VECTOR };

typedef struct {
    uint16_t offset; /* in the struct */
    uint8_t type;
    uint8_t size;    /* on the wire; 0: the rest of the message */
    uint8_t allowed; /* position in choices, 0: any value */
} field_t;

typedef struct {
    uint8_t id, survives, first, count;
} kind_t;

#include "auricle_message_table.h"

static const kind_t *find(uint8_t id) {
    for (unsigned i = LINK_KINDS; i < KINDS; i++) {
        if (kinds[i].id == id) {
            return &kinds[i];
        }
    }
    return NULL;
}

bool auricle_message_survives(uint8_t id) {
    const kind_t *kind = find(id);
    return kind != NULL && kind->survives;
}

static bool allowed(const field_t *field, uint8_t code) {
    const uint8_t *list = &choices[field->allowed];
    unsigned left = list[0];
    while (left > 0 && list[left] != code) {
        left--;
    }
    return field->allowed == 0 || left > 0;
}

static void put(uint8_t *out, uint64_t value, unsigned size) {
    for (unsigned i = 0; i < size; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t get(const uint8_t *data, unsigned size) {
    uint64_t value = 0;
    while (size-- > 0) {
        value = value << 8 | data[size];
    }
    return value;
}

/* Members are copied, because a struct and its bytes must not alias. */
static uint64_t load(const uint8_t *member, uint8_t type) {
    uint64_t wide;
    uint32_t word;
    uint16_t half;
    switch (type) {
    case U64:
        memcpy(&wide, member, sizeof wide);
        return wide;
    case U32:
    case I32:
        memcpy(&word, member, sizeof word);
        return word;
    case U16:
        memcpy(&half, member, sizeof half);
        return half;
    default:
        return *member;
    }
}

static void store(uint8_t *member, uint8_t type, uint64_t value) {
    uint32_t word = (uint32_t)value;
    uint16_t half = (uint16_t)value;
    switch (type) {
    case U64:
        memcpy(member, &value, sizeof value);
        break;
    case U32:
    case I32:
        memcpy(member, &word, sizeof word);
        break;
    case U16:
        memcpy(member, &half, sizeof half);
        break;
    default:
        *member = (uint8_t)value;
    }
}

/* Returns the number of bytes written to `out`, -1 if a value is not allowed. */
static int encode(const kind_t *kind, const void *value, uint8_t *out, auricle_view *tail) {
    const uint8_t *members = value;
    uint8_t *end = out;
    unsigned dtype = 1;
    tail->data = NULL;
    tail->length = 0;
    for (unsigned i = 0; i < kind->count; i++) {
        const field_t *field = &fields[kind->first + i];
        const uint8_t *member = members + field->offset;
        if (field->type >= BYTES) {
            memcpy(tail, member, sizeof *tail);
            if (field->type == VECTOR && tail->length % (dtype & 15) != 0) {
                return -1;
            }
        } else if (field->type == FIXED) {
            memcpy(end, member, field->size);
        } else {
            if (!allowed(field, *member)) {
                return -1;
            }
            dtype = field->allowed ? *member : dtype;
            put(end, load(member, field->type), field->size);
        }
        end += field->size;
    }
    return (int)(end - out);
}

static bool decode(const kind_t *kind, const uint8_t *data, size_t length, void *value) {
    uint8_t *members = value;
    unsigned dtype = 1;
    for (unsigned i = 0; i < kind->count; i++) {
        const field_t *field = &fields[kind->first + i];
        uint8_t *member = members + field->offset;
        if (length < field->size) {
            return false;
        }
        if (field->type >= BYTES) {
            auricle_view tail = {data, length};
            memcpy(member, &tail, sizeof tail);
            return field->type != VECTOR || length % (dtype & 15) == 0;
        }
        if (field->type == FIXED) {
            memcpy(member, data, field->size);
        } else {
            if (!allowed(field, *data)) {
                return false;
            }
            dtype = field->allowed ? *data : dtype;
            store(member, field->type, get(data, field->size));
        }
        data += field->size;
        length -= field->size;
    }
    return length == 0;
}

size_t auricle_message_encode(const auricle_message *message, uint8_t *out, auricle_view *tail) {
    const kind_t *kind = find(message->id);
    int length = kind == NULL ? -1 : encode(kind, &message->as, out + 1, tail);
    out[0] = message->id;
    return length < 0 ? 0 : (size_t)length + 1;
}

bool auricle_message_decode(const uint8_t *data, size_t length, auricle_message *message) {
    const kind_t *kind = length == 0 ? NULL : find(data[0]);
    if (kind == NULL) {
        return false;
    }
    message->id = data[0];
    return decode(kind, data + 1, length - 1, &message->as);
}

size_t auricle_record_encode(uint8_t record, const void *value, uint8_t *out) {
    auricle_view tail;
    int length = encode(&kinds[record], value, out, &tail);
    return length < 0 ? 0 : (size_t)length;
}

bool auricle_record_decode(uint8_t record, const uint8_t *data, size_t length, void *value) {
    return decode(&kinds[record], data, length, value);
}
