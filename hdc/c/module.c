/* The module hdc._native: buffers of arrays in, the hot path of the processor's best instruction
 * set out.  native.py lays the arrays out; the sizes are checked here once more.
 *
 * It keeps no state: every function carries its instruction set with it.  The global lock is
 * released for calls that read more than a mebibyte; shorter ones would wait longer to get it back
 * than they run. */
#include "calls.h"

#define NEAR_FLOATS 4096 /* on the stack: the width of nearly every encoder */

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

/* landmark_distances(codes, sums, lengths, row, step, shift, made): codes [count][width]. */
static PyObject *landmark_distances(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    buffers all = {.count = 0};
    landmarks held;
    const float *row;
    float near[NEAR_FLOATS], *work = near;
    int ran = 0;
    if (!expects(count, 7)) {
        return NULL;
    }
    if ((held.sums = in(&all, args[1], 0)) && (row = in(&all, args[3], 0))) {
        Py_ssize_t number = all.held[0].len / 4, width = all.held[1].len / 4;
        float *made;
        held.count = number, held.width = width;
        if ((held.codes = in(&all, args[0], number * width))
            && (held.lengths = in(&all, args[2], 4 * number))
            && (held.step = in(&all, args[4], 4 * width))
            && (held.shift = in(&all, args[5], 4 * width))
            && (made = out(&all, args[6], 4 * number))) {
            if (width > NEAR_FLOATS && !(work = PyMem_Malloc(4 * (size_t)width))) {
                PyErr_NoMemory();
            } else {
                RUN(number * width, level_of(self)->landmark_distances(&held, row, made, (uint8_t *)work));
                ran = 1;
            }
        }
    }
    if (work != near) {
        PyMem_Free(work);
    }
    return result(&all, ran, 0);
}

/* linear(features, table, weights, bias, made): weights [rows][width], bias and made [rows]. */
static PyObject *linear(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    buffers all = {.count = 0};
    const uint8_t *features;
    const float *table, *weights, *bias;
    float *made, near[NEAR_FLOATS], *work = near;
    int ran = 0;
    if (!expects(count, 5)) {
        return NULL;
    }
    if ((features = in(&all, args[0], 0)) && (table = in(&all, args[1], 4 * 256))
        && (bias = in(&all, args[3], 0))) {
        Py_ssize_t width = all.held[0].len, rows = all.held[2].len / 4;
        if ((weights = in(&all, args[2], 4 * rows * width))
            && (made = out(&all, args[4], 4 * rows))) {
            if (width > NEAR_FLOATS && !(work = PyMem_Malloc(4 * (size_t)width))) {
                PyErr_NoMemory();
            } else {
                level_of(self)->linear(features, table, weights, bias, width, rows, made, work);
                ran = 1;
            }
        }
    }
    if (work != near) {
        PyMem_Free(work);
    }
    return result(&all, ran, 0);
}

/* project(geometry, features, bits, values, work) */
static PyObject *project(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    buffers all = {.count = 0};
    const native_geometry *geometry;
    const uint8_t *features;
    uint64_t *bits;
    int64_t *values;
    void *work;
    int ran = 0, inexact = 0;
    if (!expects(count, 5)) {
        return NULL;
    }
    if ((geometry = in(&all, args[0], sizeof *geometry)) && (features = in(&all, args[1], 0))) {
        Py_ssize_t bytes = all.held[1].len, rows = bytes / (Py_ssize_t)geometry->width;
        if ((bits = out(&all, args[2], rows * (Py_ssize_t)(geometry->tap.bits / 8)))
            && (values = out(&all, args[3], rows * 8 * (Py_ssize_t)geometry->values))
            && (work = out(&all, args[4], (Py_ssize_t)geometry->work_bytes))) {
            RUN(rows * 16 * geometry->tap.bits,
                inexact = level_of(self)->project(geometry, features, rows, bits, values, work));
            ran = 1;
        }
    }
    return result(&all, ran, inexact);
}

/* The arguments that all comparisons share. */
typedef struct {
    const native_memory *memory;
    const uint64_t *bits;
    const int64_t *values, *only;
    Py_ssize_t count;
    void *work;
} compared;

/* Reads memory, bits, values, only (or None) and work; returns 0 after an error. */
static int read_compared(compared *c, buffers *all, PyObject *const *args)
{
    const native_memory *m = in(all, args[0], sizeof *m);
    if (!m) {
        return 0;
    }
    Py_ssize_t values = (Py_ssize_t)m->columns + m->plane + m->norms;
    c->memory = m;
    c->only = NULL;
    c->count = (Py_ssize_t)m->concepts;
    if (!(c->bits = in(all, args[1], 4 * (Py_ssize_t)m->words))
        || !(c->values = in(all, args[2], 8 * values))) {
        return 0;
    }
    if (args[3] != Py_None) {
        if (!(c->only = in(all, args[3], 0))) {
            return 0;
        }
        c->count = all->held[all->count - 1].len / 8;
    }
    return (c->work = out(all, args[4], 4 * values + 8)) != NULL;
}

/* The samples that `made` has room for; -1 with an exception if bits or values hold fewer. */
static Py_ssize_t samples_of(const compared *c, const buffers *all)
{
    const native_memory *m = c->memory;
    Py_ssize_t each = 8 * c->count * (Py_ssize_t)m->blocks;
    Py_ssize_t values = (Py_ssize_t)m->columns + m->plane + m->norms;
    Py_ssize_t rows = each ? all->held[all->count - 1].len / each : 0;
    if (all->held[1].len < 4 * (Py_ssize_t)m->words * rows || all->held[2].len < 8 * values * rows) {
        PyErr_Format(PyExc_ValueError, "expected bits and values of %zd samples, found fewer", rows);
        return -1;
    }
    return rows;
}

/* distances(memory, bits, values, only, work, made): of one sample or of several. */
static PyObject *distances(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    buffers all = {.count = 0};
    compared c;
    int64_t *made;
    int ran = 0, inexact = 0;
    if (!expects(count, 6)) {
        return NULL;
    }
    if (read_compared(&c, &all, args)
        && (made = out(&all, args[5], 8 * c.count * (Py_ssize_t)c.memory->blocks))) {
        const native_memory *m = c.memory;
        Py_ssize_t rows = samples_of(&c, &all), each = c.count * (Py_ssize_t)m->blocks;
        Py_ssize_t values = (Py_ssize_t)m->columns + m->plane + m->norms;
        if (rows >= 0) {
            RUN(4 * rows * c.count * (Py_ssize_t)m->words,
                for (Py_ssize_t row = 0; row < rows && !inexact; row++) {
                    inexact = level_of(self)->distances(m, c.bits + row * (m->words / 2),
                                                        c.values + row * values, c.only, c.count,
                                                        made + row * each, c.work);
                });
            ran = 1;
        }
    }
    return result(&all, ran, inexact);
}

/* compare(memory, bits, values, only, work, scales, made): made holds the distances [count][blocks],
 * then the novelty on the scales of row 0 and of its own row + 1 [count] each. */
static PyObject *compare(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    buffers all = {.count = 0};
    compared c;
    const native_level *level = level_of(self);
    const int64_t *scales;
    int64_t *made;
    int ran = 0, inexact = 0;
    if (!expects(count, 7)) {
        return NULL;
    }
    if (read_compared(&c, &all, args)) {
        const native_memory *m = c.memory;
        Py_ssize_t blocks = (Py_ssize_t)m->blocks;
        if ((scales = in(&all, args[5], 16 * blocks * (1 + (Py_ssize_t)m->concepts)))
            && (made = out(&all, args[6], 8 * c.count * (blocks + 2)))) {
            int64_t *common = made + c.count * blocks;
            RUN(4 * c.count * (Py_ssize_t)m->words,
                inexact = level->distances(m, c.bits, c.values, c.only, c.count, made, c.work)
                    || level->scores(m, made, scales, 0, NULL, c.count, common)
                    || level->scores(m, made, scales + 2 * blocks, 1, c.only, c.count,
                                     common + c.count));
            ran = 1;
        }
    }
    return result(&all, ran, inexact);
}

/* nearest(memory, bits, work, made) */
static PyObject *nearest(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    buffers all = {.count = 0};
    const native_memory *m;
    const uint64_t *bits;
    void *work;
    int64_t *made;
    int ran = 0;
    if (!expects(count, 4)) {
        return NULL;
    }
    if ((m = in(&all, args[0], sizeof *m)) && (bits = in(&all, args[1], 4 * (Py_ssize_t)m->words))) {
        Py_ssize_t needed = 8 * (Py_ssize_t)m->screened
            + 4 * ((Py_ssize_t)m->concepts + 32 * (Py_ssize_t)m->words + 1);
        if ((work = out(&all, args[2], needed)) && (made = out(&all, args[3], 0))) {
            Py_ssize_t wanted = all.held[all.count - 1].len / 8;
            Py_ssize_t most = m->screen ? (Py_ssize_t)m->screened : (Py_ssize_t)m->concepts;
            if (wanted > most) {
                PyErr_Format(PyExc_ValueError, "expected at most %zd places, found %zd", most,
                             wanted);
            } else {
                RUN(4 * (Py_ssize_t)m->concepts * (Py_ssize_t)m->words,
                    level_of(self)->nearest(m, bits, wanted, made, work));
                ran = 1;
            }
        }
    }
    return result(&all, ran, 0);
}

/* exemplars(held, columns, plane, without, made, work): samples, one for each pair of `made`, and for
 * each the exemplar that does not count, -1 for none.  work: of a single sample 4 bytes for each of
 * its numbers, else as for TOGETHER samples. */
static PyObject *exemplars(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    buffers all = {.count = 0};
    const native_exemplars *held;
    const int64_t *columns, *plane, *without;
    int64_t *made;
    void *work;
    int ran = 0, inexact = 0;
    if (!expects(count, 6)) {
        return NULL;
    }
    if ((held = in(&all, args[0], sizeof *held)) && (made = out(&all, args[4], 16))) {
        Py_ssize_t rows = all.held[1].len / 16;
        Py_ssize_t width = held->columns_width, rank = held->plane_width;
        Py_ssize_t needed = rows > 1 ? 4 * TOGETHER * (width + 2 * rank) : 4 * (width + rank);
        if ((columns = in(&all, args[1], 8 * rows * width))
            && (plane = in(&all, args[2], 8 * rows * rank))
            && (without = in(&all, args[3], 8 * rows))
            && (work = out(&all, args[5], needed))) {
            RUN(4 * rows * (width * held->columns_count + rank * held->plane_count),
                inexact = level_of(self)->exemplars_of_many(held, columns, plane, without, rows,
                                                            made, work));
            ran = 1;
        }
    }
    return result(&all, ran, inexact);
}

/* work(padded): bytes of working memory for a tap. */
static PyObject *work(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (!expects(count, 1)) {
        return NULL;
    }
    unsigned long padded = PyLong_AsUnsignedLong(args[0]);
    if (PyErr_Occurred()) {
        return NULL;
    }
    return PyLong_FromUnsignedLong(level_of(self)->work((uint32_t)padded));
}

/* follow_windows(series, table, made, at, back, gap, full, nearest): series int32 [channels][row],
 * table int32 [channels][windows], made [channels]. */
static PyObject *follow_windows(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    buffers all = {.count = 0};
    const int32_t *series;
    int32_t *table;
    double *made;
    int64_t given[5];
    if (!expects(count, 8)) {
        return NULL;
    }
    for (int k = 0; k < 5; k++) {
        given[k] = PyLong_AsLongLong(args[3 + k]);
    }
    if (PyErr_Occurred()) {
        return NULL;
    }
    int ran = 0;
    if ((series = in(&all, args[0], 0)) && (table = out(&all, args[1], 0))
        && (made = out(&all, args[2], 8))) {
        int64_t channels = all.held[2].len / 8;
        window_call call = {
            .channels = channels, .row = all.held[0].len / 4 / channels,
            .windows = all.held[1].len / 4 / channels, .at = given[0], .back = given[1],
            .gap = given[2], .full = given[3], .nearest = given[4],
        };
        if (call.back < 1 || call.gap < 1 || call.at > call.row || call.full < 0
            || call.at - call.back < call.gap + call.windows || call.full > call.windows
            || call.nearest < 1 || call.nearest > NEAREST_MAX
            || (call.full && call.full < call.nearest)) {
            PyErr_SetString(PyExc_ValueError, "windows lie outside the series");
        } else {
            RUN(8 * channels * call.windows,
                level_of(self)->follow_windows(&call, series, table, made));
            ran = 1;
        }
    }
    return result(&all, ran, 0);
}

#define METHOD(name, call) {name, (PyCFunction)(void (*)(void))call, METH_FASTCALL, NULL}

static PyMethodDef methods[] = {
    METHOD("landmark_distances", landmark_distances),
    METHOD("linear", linear),
    METHOD("follow_windows", follow_windows),
    METHOD("project", project),
    METHOD("distances", distances),
    METHOD("compare", compare),
    METHOD("nearest", nearest),
    METHOD("exemplars", exemplars),
    METHOD("work", work),
    METHOD("join", call_join),
    METHOD("decide", call_decide),
    METHOD("spread", call_spread),
    METHOD("likeliest", call_likeliest),
    METHOD("upper_tail", call_upper_tail),
    METHOD("slide", call_slide),
    METHOD("leader", call_leader),
    METHOD("decisive", call_decisive),
    METHOD("gather", call_gather),
    METHOD("prefer", call_prefer),
};

/* Adds an instruction set to the dictionary of all; returns 0 after an error. */
static int add(PyObject *all, const native_level *level, int supported)
{
    if (!supported) {
        return 1;
    }
    PyObject *capsule = PyCapsule_New((void *)(uintptr_t)level, NULL, NULL);
    PyObject *named = PyDict_New();
    int done = capsule && named && PyDict_SetItemString(all, level->name, named) == 0;
    for (size_t k = 0; done && k < sizeof methods / sizeof *methods; k++) {
        PyObject *function = PyCFunction_NewEx(&methods[k], capsule, NULL);
        done = function && PyDict_SetItemString(named, methods[k].ml_name, function) == 0;
        Py_XDECREF(function);
    }
    Py_XDECREF(capsule);
    Py_XDECREF(named);
    return done;
}

/* Fills in LEVELS: the functions of each instruction set that this processor has, best first. */
static int fill(PyObject *module)
{
    PyObject *all = PyDict_New();
    int done = all != NULL;
#if defined(__x86_64__)
#ifdef AURICLE_AVX512
    done = done
        && add(all, &native_avx512,
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
                   && __builtin_cpu_supports("avx512vl")
                   && __builtin_cpu_supports("avx512vpopcntdq"));
#endif
    done = done
        && add(all, &native_avx2,
               __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt"))
        && add(all, &native_sse42,
               __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"));
#elif defined(__aarch64__)
    done = done && add(all, &native_dotprod, (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0)
        && add(all, &native_neon, 1);
#endif
    done = done && add(all, &native_portable, 1)
        && PyModule_AddObjectRef(module, "LEVELS", all) == 0
        && PyModule_AddIntConstant(module, "INTERFACE", INTERFACE) == 0
        && PyModule_AddIntConstant(module, "GEOMETRY_BYTES", sizeof(native_geometry)) == 0
        && PyModule_AddIntConstant(module, "MEMORY_BYTES", sizeof(native_memory)) == 0
        && PyModule_AddIntConstant(module, "EXEMPLARS_BYTES", sizeof(native_exemplars)) == 0
        && PyModule_AddIntConstant(module, "DECISION_BYTES", sizeof(native_decision)) == 0;
    Py_XDECREF(all);
    return done ? 0 : -1;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)fill}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_native", NULL, 0, NULL, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__native(void);
PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
