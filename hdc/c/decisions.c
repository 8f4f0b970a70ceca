/* Functions of hdc._native that find the concept of a sample, and how far a window has moved. */
#include "calls.h"

#define SHORTLIST 8 /* EXEMPLAR_SHORTLIST in joint.py */

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
CALLED(call_join)
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
CALLED(call_decide)
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
CALLED(call_spread)
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
