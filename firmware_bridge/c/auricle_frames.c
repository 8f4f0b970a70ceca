#include "auricle_frames.h"

#include <string.h>

uint32_t auricle_crc32(uint32_t start, const uint8_t *data, size_t length) {
    /* Four bits at a time: a table of 64 bytes instead of 1,024. */
    static const uint32_t table[16] = {
        0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4,
        0x4DB26158, 0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
        0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
    };
    uint32_t crc = ~start;
    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

static void open_group(auricle_stuffer *stuffer) {
    stuffer->code_at = stuffer->length;
    stuffer->out[stuffer->length++] = 1;
}

void auricle_stuff_begin(auricle_stuffer *stuffer, uint8_t *out) {
    stuffer->out = out;
    stuffer->length = 0;
    open_group(stuffer);
}

void auricle_stuff(auricle_stuffer *stuffer, const uint8_t *data, size_t length) {
    for (size_t i = 0; i < length; i++) {
        /* Another group follows a full one only if more bytes follow. */
        if (stuffer->out[stuffer->code_at] == 0xFF) {
            open_group(stuffer);
        }
        if (data[i] == 0) {
            open_group(stuffer);
        } else {
            stuffer->out[stuffer->length++] = data[i];
            stuffer->out[stuffer->code_at]++;
        }
    }
}

size_t auricle_stuff_end(auricle_stuffer *stuffer) {
    stuffer->out[stuffer->length++] = 0;
    return stuffer->length;
}

static void append(auricle_unstuffer *unstuffer, uint8_t byte) {
    if (unstuffer->length == AURICLE_FRAME_BYTES_MAX) {
        unstuffer->bad = true;
    } else {
        unstuffer->block[unstuffer->length++] = byte;
    }
}

int auricle_unstuff(auricle_unstuffer *unstuffer, uint8_t byte, size_t *length) {
    if (byte == 0) {
        int found = unstuffer->bad || unstuffer->left ? AURICLE_BLOCK_BAD : AURICLE_BLOCK_WHOLE;
        if (unstuffer->code == 0) {
            found = AURICLE_BLOCK_NONE;
        }
        *length = unstuffer->length;
        unstuffer->length = 0;
        unstuffer->left = unstuffer->code = 0;
        unstuffer->bad = false;
        return found;
    }
    if (unstuffer->left == 0) {
        if (unstuffer->code != 0 && unstuffer->code != 0xFF) {
            append(unstuffer, 0);
        }
        unstuffer->code = byte;
        unstuffer->left = (uint8_t)(byte - 1);
    } else {
        append(unstuffer, byte);
        unstuffer->left--;
    }
    return AURICLE_BLOCK_NONE;
}
