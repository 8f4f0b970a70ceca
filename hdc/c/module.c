/* The module hdc._native: buffers of arrays in, the hot path of the processor's best instruction
 * set out.  native.py lays the arrays out; the sizes are checked here once more.
 *
 * It keeps no state: every function carries its instruction set with it.  The global lock is
 * released for calls that read more than a mebibyte; shorter ones would wait longer to get it back
 * than they run. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>

#include "level.h"

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

#define LONG_BYTES (1 << 20)
#define BUFFERS_MAX 12
#define SHORTLIST 8 /* EXEMPLAR_SHORTLIST in joint.py */

/* The buffers that a call holds. */
typedef struct {
    Py_buffer held[BUFFERS_MAX];
    int count;
} buffers;

static void release(buffers *all)
{
    while (all->count) {
        PyBuffer_Release(&all->held[--all->count]);
    }
}

/* Returns the memory of an array with at least `bytes` bytes; NULL with an exception otherwise. */
static void *take(buffers *all, PyObject *array, Py_ssize_t bytes, int flags)
{
    Py_buffer *buffer = &all->held[all->count];
    if (bytes < 0 || PyObject_GetBuffer(array, buffer, flags) < 0) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "a negative size");
        }
        return NULL;
    }
    all->count++;
    if (buffer->len < bytes) {
        PyErr_Format(PyExc_ValueError, "expected an array of at least %zd bytes, found %zd", bytes,
                     buffer->len);
        return NULL;
    }
    return buffer->buf;
}

static const void *in(buffers *all, PyObject *array, Py_ssize_t bytes)
{
    return take(all, array, bytes, PyBUF_SIMPLE);
}

static void *out(buffers *all, PyObject *array, Py_ssize_t bytes)
{
    return take(all, array, bytes, PyBUF_WRITABLE);
}

static const native_level *level_of(PyObject *self)
{
    return PyCapsule_GetPointer(self, NULL);
}

static int expects(Py_ssize_t found, Py_ssize_t expected)
{
    if (found != expected) {
        PyErr_Format(PyExc_TypeError, "expected %zd arguments, found %zd", expected, found);
    }
    return found == expected;
}

/* Runs a statement, without the global lock if it reads many bytes. */
#define RUN(bytes, statement)                          \
    do {                                               \
        PyThreadState *kept = (bytes) > LONG_BYTES ? PyEval_SaveThread() : NULL; \
        statement;                                     \
        if (kept) {                                    \
            PyEval_RestoreThread(kept);                \
        }                                              \
    } while (0)

/* The result of a call: whether C and numpy agree on it, or NULL after an error. */
static PyObject *result(buffers *all, int ran, int inexact)
{
    release(all);
    return ran ? PyBool_FromLong(!inexact) : NULL;
}

/* byte_products(rows, one, made) */
static PyObject *byte_products(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    buffers all = {.count = 0};
    const uint8_t *rows, *one;
    int32_t *made;
    int ran = 0;
    if (!expects(count, 3)) {
        return NULL;
    }
    if ((rows = in(&all, args[0], 0)) && (one = in(&all, args[1], 1))) {
        Py_ssize_t width = all.held[1].len, bytes = all.held[0].len, number = bytes / width;
        if ((made = out(&all, args[2], number * (Py_ssize_t)sizeof *made))) {
            RUN(bytes, level_of(self)->byte_products(rows, one, number, width, made));
            ran = 1;
        }
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

/* distances(memory, bits, values, only, work, made) */
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
        RUN(4 * c.count * (Py_ssize_t)c.memory->words,
            inexact = level_of(self)->distances(c.memory, c.bits, c.values, c.only, c.count, made,
                                                c.work));
        ran = 1;
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
 * each the exemplar that does not count, -1 for none. */
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
        if ((columns = in(&all, args[1], 8 * rows * width))
            && (plane = in(&all, args[2], 8 * rows * rank))
            && (without = in(&all, args[3], 8 * rows))
            && (work = out(&all, args[5], 4 * (width + rank)))) {
            RUN(4 * rows * (width * held->columns_count + rank * held->plane_count),
                for (Py_ssize_t row = 0; row < rows && !inexact; row++) {
                    inexact = level_of(self)->exemplars(held, columns + row * width,
                                                        plane + row * rank, without[row],
                                                        made + 2 * row, work);
                });
            ran = 1;
        }
    }
    return result(&all, ran, inexact);
}

/* The arguments of `join`. */
typedef struct {
    native_joint terms;
    Py_ssize_t concepts;
    const int64_t *distances, *scores, *scales, *near_scales, *columns, *plane;
    Py_ssize_t columns_width, plane_width;
    PyObject *layouts;                        /* a tuple, or NULL: */
    const native_exemplars *const *exemplars; /* [concepts] */
    void *work;
    int64_t *made;
} joining;

static int read_joining(joining *j, buffers *all, PyObject *const *args)
{
    if (!PyTuple_Check(args[8]) || !(j->terms.votes = in(all, args[4], 8))) {
        return 0;
    }
    Py_ssize_t blocks = all->held[0].len / 8, concepts = PyTuple_Size(args[8]);
    if (blocks > (Py_ssize_t)BLOCKS_MAX) {
        PyErr_SetString(PyExc_ValueError, "more blocks than a geometry has");
        return 0;
    }
    j->terms.blocks = (uint32_t)blocks;
    j->concepts = concepts;
    j->layouts = args[8];
    if (!(j->distances = in(all, args[0], 8 * concepts * blocks))
        || !(j->scores = in(all, args[1], 8 * concepts))
        || !(j->scales = in(all, args[2], 16 * concepts * blocks))
        || !(j->near_scales = in(all, args[3], 32 * concepts))
        || !(j->terms.nearest_votes = in(all, args[5], 16)) || !(j->columns = in(all, args[6], 0))
        || !(j->plane = in(all, args[7], 0))) {
        return 0;
    }
    j->columns_width = all->held[all->count - 2].len / 8;
    j->plane_width = all->held[all->count - 1].len / 8;
    return (j->work = out(all, args[9], 4 * (j->columns_width + j->plane_width)))
        && (j->made = out(all, args[10], 16));
}

/* Writes the distances to a concept's nearest exemplars, -1 if it has none.  Returns 0, INEXACT, or
 * -1 with an exception. */
static int nearest_in(const native_level *level, const joining *j, Py_ssize_t at, int64_t *made)
{
    buffers one = {.count = 0};
    const native_exemplars *held;
    made[0] = made[1] = -1;
    if (j->layouts) {
        PyObject *layout = PyTuple_GetItem(j->layouts, at);
        if (!layout || layout == Py_None) {
            return layout ? 0 : -1;
        }
        if (!(held = in(&one, layout, sizeof *held))) {
            return -1;
        }
    } else if (!(held = j->exemplars[at])) {
        return 0;
    }
    int inexact = INEXACT;
    if ((Py_ssize_t)held->columns_width == j->columns_width
        && (Py_ssize_t)held->plane_width == j->plane_width) {
        inexact = level->exemplars(held, j->columns, j->plane, -1, made, j->work);
    }
    release(&one);
    return inexact;
}

/* Tries concepts in the order of their scores, until the next one starts above the lowest joint
 * score.  Returns as nearest_in. */
static int lowest(const native_level *level, joining *j)
{
    Py_ssize_t last = -1;
    int64_t best = INT64_MAX, at_best = -1;
    for (int turn = 0; turn < SHORTLIST && turn < j->concepts; turn++) {
        Py_ssize_t next = -1;
        for (Py_ssize_t i = 0; i < j->concepts; i++) {
            int after = last < 0 || j->scores[i] > j->scores[last]
                || (j->scores[i] == j->scores[last] && i > last);
            if (after && (next < 0 || j->scores[i] < j->scores[next])) {
                next = i;
            }
        }
        if (at_best >= 0 && j->scores[next] > best) {
            break;
        }
        int64_t apart[2], found;
        int inexact = nearest_in(level, j, next, apart);
        native_joint terms = j->terms;
        terms.distances = j->distances + next * (Py_ssize_t)terms.blocks;
        terms.scales = j->scales + 2 * next * (Py_ssize_t)terms.blocks;
        terms.nearest = apart;
        terms.nearest_scales = j->near_scales + 4 * next;
        if (inexact || (inexact = level->joint(&terms, &found))) {
            return inexact;
        }
        if (found < best || (found == best && next < at_best)) {
            best = found;
            at_best = next;
        }
        last = next;
    }
    j->made[0] = best;
    j->made[1] = at_best;
    return 0;
}

/* join(distances, scores, scales, near_scales, votes, near_votes, columns, plane, layouts, work,
 * made): the lowest joint score with exemplars, and its concept. */
static PyObject *join(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    buffers all = {.count = 0};
    joining j = {.exemplars = NULL};
    int inexact = -1;
    if (!expects(count, 11)) {
        return NULL;
    }
    if (read_joining(&j, &all, args)) {
        inexact = lowest(level_of(self), &j);
    } else if (!PyErr_Occurred()) {
        PyErr_SetString(PyExc_TypeError, "expected a tuple of layouts");
    }
    return result(&all, inexact >= 0, inexact);
}

/* Finds the lowest joint score among the concepts of the domain of the nearest one.  common, own:
 * novelty [concepts]; apart: distances; made: the score, the concept, then the lowest common score
 * of each domain.  Returns as nearest_in. */
static int domain_lowest(const native_level *level, const native_decision *d, const int64_t *apart,
                         const int64_t *values, void *work, int64_t *made)
{
    const native_memory *m = d->memory;
    const int64_t blocks = m->blocks, *common = apart + m->concepts * blocks;
    const int64_t *own = common + m->concepts;
    uint32_t nearest = 0;
    for (uint32_t one = 0; one < d->domains; one++) {
        int64_t least = INT64_MAX;
        for (int64_t i = d->starts[one]; i < d->starts[one + 1]; i++) {
            least = common[i] < least ? common[i] : least;
        }
        made[2 + one] = least;
        nearest = least < made[2 + nearest] ? one : nearest;
    }
    int64_t first = d->starts[nearest], count = d->starts[nearest + 1] - first;
    if (!d->has_exemplars) {
        made[1] = first;
        for (int64_t i = first; i < first + count; i++) {
            made[1] = own[i] < own[made[1]] ? i : made[1];
        }
        made[0] = own[made[1]];
        return 0;
    }
    joining j = {
        .terms = {.blocks = m->blocks, .votes = d->votes, .nearest_votes = d->near_votes},
        .concepts = (Py_ssize_t)count,
        .distances = apart + first * blocks,
        .scores = own + first,
        .scales = d->scales + 2 * blocks * (1 + first),
        .near_scales = d->near_scales + 4 * first,
        .columns = values,
        .plane = values + m->columns,
        .columns_width = (Py_ssize_t)m->columns,
        .plane_width = (Py_ssize_t)m->plane - 1,
        .exemplars = d->exemplars + first,
        .work = work,
        .made = made,
    };
    int inexact = lowest(level, &j);
    made[1] += first;
    return inexact;
}

/* decide(decision, features, bits, values, made): codes one sample, compares it with all concepts,
 * and finds its concept.  made holds the distances [concepts][blocks], the novelty on the common
 * scales and on each concept's own [concepts] each, the joint score, its concept, and the lowest
 * novelty on the common scales of each domain. */
static PyObject *decide(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    buffers all = {.count = 0};
    const native_level *level = level_of(self);
    const native_decision *d;
    const uint8_t *features;
    uint64_t *bits;
    int64_t *values, *made;
    int inexact = -1;
    if (!expects(count, 5)) {
        return NULL;
    }
    if ((d = in(&all, args[0], sizeof *d))
        && (features = in(&all, args[1], (Py_ssize_t)d->geometry->width))
        && (bits = out(&all, args[2], (Py_ssize_t)(d->geometry->tap.bits / 8)))
        && (values = out(&all, args[3], 8 * (Py_ssize_t)d->geometry->values))) {
        const native_memory *m = d->memory;
        Py_ssize_t concepts = (Py_ssize_t)m->concepts, blocks = (Py_ssize_t)m->blocks;
        Py_ssize_t needed = 4 * (Py_ssize_t)d->geometry->values + 8;
        if ((Py_ssize_t)d->geometry->work_bytes > needed) {
            needed = (Py_ssize_t)d->geometry->work_bytes;
        }
        void *work = PyMem_Malloc((size_t)needed);
        if (!work) {
            PyErr_NoMemory();
        } else if ((made = out(&all, args[4],
                               8 * (concepts * (blocks + 2) + 2 + (Py_ssize_t)d->domains)))) {
            int64_t *common = made + concepts * blocks;
            inexact = level->project(d->geometry, features, 1, bits, values, work)
                || level->distances(m, bits, values, NULL, concepts, made, work)
                || level->scores(m, made, d->scales, 0, NULL, concepts, common)
                || level->scores(m, made, d->scales + 2 * blocks, 1, NULL, concepts,
                                 common + concepts);
            if (!inexact) {
                inexact = domain_lowest(level, d, made, values, work, common + 2 * concepts);
            }
        }
        PyMem_Free(work);
    }
    return result(&all, inexact >= 0, inexact);
}

/* spread(memory, samples, columns, made, work): samples: a tuple of coordinates. */
static PyObject *spread(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    buffers all = {.count = 0};
    const native_memory *m;
    const int64_t *columns;
    const int64_t **samples = NULL;
    double *made, *work;
    int inexact = -1;
    if (!expects(count, 5)) {
        return NULL;
    }
    Py_ssize_t rows = PyTuple_Check(args[1]) ? PyTuple_Size(args[1]) : -1;
    if (rows < 0) {
        PyErr_SetString(PyExc_TypeError, "expected a tuple of samples");
    } else if ((m = in(&all, args[0], sizeof *m)) && (columns = in(&all, args[2], 8 * rows))
               && (made = out(&all, args[3], 8 * SPREAD_TERMS * ((Py_ssize_t)m->blocks - 1)))
               && (work = out(&all, args[4], 8 * rows * (RESIDUALS + rows + 1)))
               && (samples = PyMem_Calloc((size_t)rows + 1, sizeof *samples))) {
        inexact = 0;
        for (Py_ssize_t row = 0; row < rows && inexact >= 0; row++) {
            buffers one = {.count = 0};
            Py_ssize_t values = (Py_ssize_t)m->columns + m->plane + m->norms;
            /* The tuple keeps the array: its memory stays where it is. */
            samples[row] = in(&one, PyTuple_GetItem(args[1], row), 8 * values);
            inexact |= samples[row] ? columns[row] < 0 || columns[row] >= m->concepts : -1;
            release(&one);
        }
        if (!inexact) {
            inexact = level_of(self)->spread(m, samples, columns, rows, made, work);
        }
    }
    PyMem_Free(samples);
    return result(&all, inexact >= 0, inexact);
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

#define METHOD(name) {#name, (PyCFunction)(void (*)(void))name, METH_FASTCALL, NULL}

static PyMethodDef methods[] = {
    METHOD(byte_products), METHOD(project),   METHOD(distances), METHOD(compare),
    METHOD(nearest),       METHOD(exemplars), METHOD(join),      METHOD(work),
    METHOD(decide),        METHOD(spread),
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
