/* Distances of the newest window of a series to earlier ones, in whole numbers. */
#define WINDOWS_BLOCK 32 /* windows whose least distance is found at a time */

/* table[i] gains the squared difference of the newest value to the one i windows before the gap,
 * and loses that of the value `back` earlier, which leaves the window. */
static void slide_windows(const int32_t *newest, int64_t back, int64_t gap, int32_t *table,
                          int64_t windows)
{
    const int32_t *entering = newest - gap + 1 - windows, *leaving = entering - back;
    int32_t in = newest[0], out = newest[-back];
    for (int64_t at = 0; at < windows; at++) {
        uint32_t more = (uint32_t)entering[at] - (uint32_t)in;
        uint32_t less = (uint32_t)leaving[at] - (uint32_t)out;
        table[at] = (int32_t)((uint32_t)table[at] + more * more - less * less);
    }
}

/* The sum of the roots of the `count` least numbers, the least first. */
static double least_roots(const int32_t *table, int64_t number, int64_t count)
{
    int32_t least[NEAREST_MAX];
    for (int64_t k = 0; k < count; k++) {
        least[k] = INT32_MAX;
    }
    for (int64_t from = 0; from < number; from += WINDOWS_BLOCK) {
        int64_t left = number - from, size = left < WINDOWS_BLOCK ? left : WINDOWS_BLOCK;
        int32_t lowest = INT32_MAX;
        for (int64_t at = 0; at < size; at++) {
            lowest = table[from + at] < lowest ? table[from + at] : lowest;
        }
        for (int64_t at = 0; lowest < least[count - 1] && at < size; at++) {
            int32_t found = table[from + at];
            int64_t place = count;
            if (found >= least[count - 1]) {
                continue;
            }
            for (place = count - 1; place && least[place - 1] > found; place--) {
                least[place] = least[place - 1];
            }
            least[place] = found;
        }
    }
    double total = 0;
    for (int64_t k = 0; k < count; k++) {
        total += sqrt((double)least[k]);
    }
    return total;
}

static void follow_windows(const window_call *call, const int32_t *series, int32_t *table,
                           double *made)
{
    for (int64_t channel = 0; channel < call->channels; channel++) {
        int32_t *own = table + channel * call->windows;
        slide_windows(series + channel * call->row + call->at - 1, call->back, call->gap, own,
                      call->windows);
        made[channel] = call->full
            ? least_roots(own + call->windows - call->full, call->full, call->nearest) : 0;
    }
}
