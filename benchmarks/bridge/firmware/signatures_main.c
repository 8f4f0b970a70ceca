/* Test program: verify every signature of a file.
 *
 * Reads signatures.bin, records of signature (64 bytes), key (32), length (4, little-endian) and
 * message; writes verified.bin, a byte 0 or 1 for each.  Runs on a PC and on the board.
 */
#include "auricle_ed25519.h"
#include "port.h"

#define MESSAGE_BYTES_MAX 4096u

static uint8_t head[100];
static uint8_t message[MESSAGE_BYTES_MAX];

int main(void)
{
    int in = port_open("signatures.bin", 0), out = port_open("verified.bin", 1);
    while (port_read(in, head, sizeof head) == sizeof head) {
        uint32_t length = head[96] | (uint32_t)head[97] << 8 | (uint32_t)head[98] << 16
                          | (uint32_t)head[99] << 24;
        if (length > sizeof message || port_read(in, message, length) != length) {
            return 2;
        }
        uint8_t found = auricle_ed25519_verify(head, head + 64, message, length);
        port_write(out, &found, 1);
    }
    port_close(out);
    return 0;
}
