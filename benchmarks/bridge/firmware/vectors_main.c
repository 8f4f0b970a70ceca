/* Test program: open an extract, decide on every vector of a file, write the decisions.
 *
 * Reads extract.bin and features.bin, writes decided.bin: for each vector the hypervector's words,
 * then score, concept, domain, label, answer and known as words.  Runs on a PC and on the board.
 */
#include "auricle_detector.h"
#include "port.h"

#include <string.h>

#define EXTRACT_BYTES_MAX (1u << 20)
#define WIDTH_MAX 65536u
#define WORDS_MAX 2048u
#define WORK_BYTES_MAX (1u << 18)

static uint32_t words[EXTRACT_BYTES_MAX / 4];
static uint8_t features[WIDTH_MAX];
static uint32_t record[WORDS_MAX + 6];
static uint32_t work[WORK_BYTES_MAX / 4];

int main(void)
{
    auricle_extract extract;
    auricle_decision made;
    int file = port_open("extract.bin", 0);
    uint32_t bytes = port_read(file, words, sizeof words);
    int error = auricle_open_random(&extract, words, bytes);
    if (error || extract.work_bytes > sizeof work) {
        return 10 + error;
    }
    int in = port_open("features.bin", 0), out = port_open("decided.bin", 1);
    uint32_t count = extract.tap.bits / 32;
    while (port_read(in, features, extract.width) == extract.width) {
        auricle_decide(&extract, features, record, work, &made);
        uint32_t rest[6] = {(uint32_t)made.score, made.concept, made.domain,
                            made.label,           made.answer,  made.known};
        memcpy(record + count, rest, sizeof rest);
        port_write(out, record, 4 * (count + 6));
    }
    port_close(out);
    return 0;
}
