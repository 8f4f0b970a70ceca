/* Counts the instructions of each stage on the emulated board: our code and the plain baseline.
 *
 * Under QEMU's -icount shift=0 an instruction takes a nanosecond and SysTick runs at 25 MHz: 40
 * instructions a tick.  Reads extract.bin and features.bin, writes speed.bin: for each stage
 * (project, detect, answer, each ours and plain) the instructions of all samples as two words,
 * then the number of samples and the number of decisions that differ.
 */
#include "plain_detector.h"
#include "port.h"

#define SAMPLES_MAX 64u
#define WIDTH_MAX 2048u
#define STAGES 6
#define PER_TICK 40u
#define TICKS_MAX 0xFFFFFFu

static uint32_t words[1u << 18], work[1u << 13], bits[256], other[256];
static int32_t sums[WIDTH_MAX];
static uint8_t features[WIDTH_MAX];

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)

static uint32_t started;

static void start(void)
{
    started = SYST_CVR;
}

static void stop(uint64_t *total)
{
    *total += ((started - SYST_CVR) & TICKS_MAX) * PER_TICK;
}

int main(void)
{
    auricle_extract e;
    auricle_decision ours, plain;
    uint64_t totals[STAGES] = {0};
    uint32_t samples = 0, unlike = 0, result[2 * STAGES + 2];
    uint32_t bytes = port_read(port_open("extract.bin", 0), words, sizeof words);
    if (auricle_open_random(&e, words, bytes) || e.work_bytes > sizeof work) {
        return 1;
    }
    SYST_RVR = TICKS_MAX;
    SYST_CVR = 0;
    SYST_CSR = 5;
    int in = port_open("features.bin", 0);
    while (samples < SAMPLES_MAX && port_read(in, features, e.width) == e.width) {
        start();
        auricle_project(&e, features, bits, work);
        stop(totals);
        start();
        auricle_detect(&e, features, bits, work, &ours);
        stop(totals + 1);
        start();
        auricle_answer(&e, features, work, &ours);
        stop(totals + 2);
        start();
        plain_project(&e, features, other, sums);
        stop(totals + 3);
        start();
        plain_detect(&e, other, &plain);
        stop(totals + 4);
        start();
        plain_answer(&e, features, &plain);
        stop(totals + 5);
        unlike += ours.score != plain.score || ours.concept != plain.concept
               || ours.known != plain.known || ours.answer != plain.answer;
        samples++;
    }
    for (int stage = 0; stage < STAGES; stage++) {
        result[2 * stage] = (uint32_t)totals[stage];
        result[2 * stage + 1] = (uint32_t)(totals[stage] >> 32);
    }
    result[2 * STAGES] = samples;
    result[2 * STAGES + 1] = unlike;
    int out = port_open("speed.bin", 1);
    port_write(out, result, sizeof result);
    port_close(out);
    return 0;
}
