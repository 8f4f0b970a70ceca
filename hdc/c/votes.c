/* Functions of hdc._native on dictionaries of whole numbers by domain: votes.py says what each
 * computes, and does the same without C. */
#include "calls.h"

#define FARTHEST INT64_MAX

/* Reads a whole number below 2^63; returns 0 with an exception. */
static int read_whole(PyObject *from, int64_t *made)
{
    *made = from ? PyLong_AsLongLong(from) : -1;
    return *made != -1 || !PyErr_Occurred();
}

/* Reads the number of a key; returns 0 if it has none, -1 with an exception. */
static int read_of(PyObject *from, PyObject *key, int64_t *made)
{
    PyObject *found = PyDict_GetItemWithError(from, key);
    if (!found) {
        return PyErr_Occurred() ? -1 : 0;
    }
    return read_whole(found, made) ? 1 : -1;
}

/* Stores a number; returns 0 with an exception. */
static int store(PyObject *into, PyObject *key, int64_t number)
{
    PyObject *made = PyLong_FromLongLong(number);
    int done = made && PyDict_SetItem(into, key, made) == 0;
    Py_XDECREF(made);
    return done;
}

static int are_dicts(PyObject *const *args, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!PyDict_Check(args[i])) {
            PyErr_SetString(PyExc_TypeError, "expected dictionaries of whole numbers");
            return 0;
        }
    }
    return 1;
}

/* Finds the largest number of a dictionary; returns 0 with an exception. */
static int largest(PyObject *numbers, int64_t *made)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    *made = INT64_MIN;
    while (PyDict_Next(numbers, &at, &key, &value)) {
        int64_t one;
        if (!read_whole(value, &one)) {
            return 0;
        }
        *made = one > *made ? one : *made;
    }
    return 1;
}

/* slide(leads, newest, oldest): False if the two differ in their domains, and nothing is done. */
CALLED(call_slide)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    int64_t farther, other;
    (void)self;
    if (!expects(count, 3) || !are_dicts(args, 3)) {
        return NULL;
    }
    int same = PyDict_Size(args[1]) == PyDict_Size(args[2]);
    while (same && PyDict_Next(args[1], &at, &key, &value)) {
        same = PyDict_Contains(args[2], key);
    }
    if (same <= 0) {
        return same ? NULL : PyBool_FromLong(0);
    }
    if (!largest(args[1], &farther) || !largest(args[2], &other)) {
        return NULL;
    }
    farther -= other;
    at = 0;
    while (PyDict_Next(args[1], &at, &key, &value)) {
        int64_t lead = 0, newest = 0, oldest = 0;
        if (!read_whole(value, &newest) || read_of(args[2], key, &oldest) < 0
            || read_of(args[0], key, &lead) < 0
            || !store(args[0], key, lead + farther - newest + oldest)) {
            return NULL;
        }
    }
    return PyBool_FromLong(1);
}

/* decisive(novelties, margin): the nearest domain, "" if another is not `margin` farther. */
CALLED(call_decisive)
{
    PyObject *key, *value, *nearest = NULL;
    Py_ssize_t at = 0;
    int64_t margin, least = FARTHEST, second = FARTHEST;
    (void)self;
    if (!expects(count, 2) || !are_dicts(args, 1) || !read_whole(args[1], &margin)) {
        return NULL;
    }
    while (PyDict_Next(args[0], &at, &key, &value)) {
        int64_t one;
        if (!read_whole(value, &one)) {
            return NULL;
        }
        if (one < least) {
            second = least;
            least = one;
            nearest = key;
        } else if (one < second) {
            second = one;
        }
    }
    if (!nearest || (second != FARTHEST && second < least + margin)) {
        return PyUnicode_FromStringAndSize("", 0);
    }
    return Py_NewRef(nearest);
}

/* gather(evidence, since, novelties, domain, most): the highest evidence. */
CALLED(call_gather)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    int64_t most, own = 0, best;
    (void)self;
    if (!expects(count, 5) || !are_dicts(args, 3) || !read_whole(args[4], &most)) {
        return NULL;
    }
    int found = read_of(args[2], args[3], &own);
    if (found < 0 || (!found && !largest(args[2], &own))) {
        return NULL;
    }
    while (PyDict_Next(args[2], &at, &key, &value)) {
        int64_t novelty, total = 0, since = 0;
        int same = PyObject_RichCompareBool(key, args[3], Py_EQ);
        if (same) {
            if (same < 0) {
                return NULL;
            }
            continue;
        }
        if (!read_whole(value, &novelty) || read_of(args[0], key, &total) < 0
            || read_of(args[1], key, &since) < 0) {
            return NULL;
        }
        int64_t gain = own - novelty;
        total += gain > most ? most : gain < -most ? -most : gain;
        since = total > 0 ? since + 1 : 0;
        total = total > 0 ? total : 0;
        if (!store(args[0], key, total) || !store(args[1], key, since)) {
            return NULL;
        }
    }
    return largest(args[0], &best) ? PyLong_FromLongLong(best < 0 ? 0 : best) : NULL;
}

/* Writes how far a domain's logit lies behind the largest, in whole units, at most `most`. */
static int penalty_of(PyObject *logits, PyObject *place, double largest_logit, double unit,
                      int64_t most, int64_t *made)
{
    Py_ssize_t at = PyLong_AsSsize_t(place);
    PyObject *one = at == -1 && PyErr_Occurred() ? NULL : PyList_GetItem(logits, at);
    double logit = one ? PyFloat_AsDouble(one) : -1;
    if (PyErr_Occurred()) {
        return 0;
    }
    double lead = largest_logit - logit;
    *made = lead < (double)most / unit ? (int64_t)(lead * unit) : most;
    return 1;
}

/* prefer(novelties, places, logits, unit, most): a new dictionary, or the same one. */
CALLED(call_prefer)
{
    PyObject *key, *value, *place, *made = NULL;
    Py_ssize_t at = 0;
    int64_t unit, most, nearest = FARTHEST, least = FARTHEST, one, penalty;
    double top = 0;
    (void)self;
    if (!expects(count, 5) || !are_dicts(args, 2) || !read_whole(args[3], &unit)
        || !read_whole(args[4], &most)) {
        return NULL;
    }
    Py_ssize_t shared = 0, logits = PyList_Check(args[2]) ? PyList_Size(args[2]) : 0;
    for (Py_ssize_t i = 0; i < logits; i++) {
        double logit = PyFloat_AsDouble(PyList_GetItem(args[2], i));
        if (logit == -1 && PyErr_Occurred()) {
            return NULL;
        }
        top = !i || logit > top ? logit : top;
    }
    while (PyDict_Next(args[0], &at, &key, &value)) {
        if (!(place = PyDict_GetItemWithError(args[1], key))) {
            if (PyErr_Occurred()) {
                return NULL;
            }
            continue;
        }
        if (!read_whole(value, &one)
            || !penalty_of(args[2], place, top, (double)unit, most, &penalty)) {
            return NULL;
        }
        nearest = one < nearest ? one : nearest;
        least = penalty < least ? penalty : least;
        shared++;
    }
    if (shared < 2) {
        return Py_NewRef(args[0]);
    }
    at = 0;
    made = PyDict_Copy(args[0]);
    while (made && PyDict_Next(args[0], &at, &key, &value)) {
        if ((place = PyDict_GetItemWithError(args[1], key))
            && (!penalty_of(args[2], place, top, (double)unit, most, &penalty)
                || !store(made, key, nearest - least + penalty))) {
            Py_CLEAR(made);
        }
    }
    return made;
}

/* Adds the leads of an observation; returns 0 with an exception. */
static int add_leads(PyObject *leads, PyObject *pair)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    int64_t weight, farthest;
    if (!pair || !PyTuple_Check(pair) || PyTuple_Size(pair) != 2
        || !PyDict_Check(PyTuple_GetItem(pair, 0))) {
        PyErr_SetString(PyExc_TypeError, "expected pairs of a dictionary and a weight");
        return 0;
    }
    PyObject *novelties = PyTuple_GetItem(pair, 0);
    if (!read_whole(PyTuple_GetItem(pair, 1), &weight) || !largest(novelties, &farthest)) {
        return 0;
    }
    while (PyDict_Next(novelties, &at, &key, &value)) {
        int64_t lead = 0, novelty;
        if (!read_whole(value, &novelty) || read_of(leads, key, &lead) < 0
            || !store(leads, key, lead + weight * (farthest - novelty))) {
            return 0;
        }
    }
    return 1;
}

/* leader(leads, weighted): the domain with the highest lead, of several the first by name. */
CALLED(call_leader)
{
    PyObject *key, *value, *first = NULL;
    Py_ssize_t at = 0;
    int64_t best = INT64_MIN, one;
    (void)self;
    if (!expects(count, 2) || !are_dicts(args, 1)) {
        return NULL;
    }
    Py_ssize_t added = PyList_Check(args[1]) ? PyList_Size(args[1]) : 0;
    PyObject *leads = added ? PyDict_Copy(args[0]) : Py_NewRef(args[0]);
    int done = leads != NULL;
    for (Py_ssize_t i = 0; done && i < added; i++) {
        done = add_leads(leads, PyList_GetItem(args[1], i));
    }
    while (done && PyDict_Next(leads, &at, &key, &value)) {
        done = read_whole(value, &one);
        if (done && (!first || one > best || (one == best && PyUnicode_Compare(key, first) < 0))) {
            best = one;
            first = key;
        }
    }
    if (done && !first) {
        PyErr_SetString(PyExc_ValueError, "expected at least one domain");
    }
    PyObject *made = done && first ? Py_NewRef(first) : NULL;
    Py_XDECREF(leads);
    return made;
}
