/* Functions of hdc._native on the numbers of a stream.  They take sequences of Python's floats, and
 * do each addition and multiplication in the order of the Python code, so that the bits are the same
 * on every machine: forward.py, normal.py. */
#include "calls.h"

#define RATES_MAX 16
#define STATES_MAX (1 << 20)
#define ROOM 512 /* doubles on the stack: domains of nearly every home */

/* Reads `count` floats of a list or tuple; returns 0 with an exception. */
static int read_floats(PyObject *from, Py_ssize_t count, double *made)
{
    int listed = PyList_Check(from);
    if (!listed && !PyTuple_Check(from)) {
        PyErr_SetString(PyExc_TypeError, "expected a list or a tuple of floats");
        return 0;
    }
    Py_ssize_t found = listed ? PyList_Size(from) : PyTuple_Size(from);
    if (found != count) {
        PyErr_Format(PyExc_ValueError, "expected %zd floats, found %zd", count, found);
        return 0;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *one = listed ? PyList_GetItem(from, i) : PyTuple_GetItem(from, i);
        made[i] = one ? PyFloat_AsDouble(one) : -1;
        if (made[i] == -1 && PyErr_Occurred()) {
            return 0;
        }
    }
    return 1;
}

/* One step of the forward pass: belief [states][rates] moves, and is weighed with a row [states]. */
static void step(double *belief, const double *row, Py_ssize_t states, const double *stays,
                 const double *moves, Py_ssize_t rates, double *totals)
{
    for (Py_ssize_t k = 0; k < rates; k++) {
        totals[k] = belief[k];
    }
    for (Py_ssize_t i = 1; i < states; i++) {
        for (Py_ssize_t k = 0; k < rates; k++) {
            totals[k] += belief[i * rates + k];
        }
    }
    for (Py_ssize_t k = 0; k < rates; k++) {
        totals[k] *= moves[k];
    }
    for (Py_ssize_t i = 0; i < states; i++) {
        double *own = belief + i * rates;
        for (Py_ssize_t k = 0; k < rates; k++) {
            double moved = own[k] * stays[k] + totals[k];
            own[k] = moved * row[i];
        }
    }
}

/* Returns the likeliest state after rows of a list, the first of equals; -1 with an exception. */
static Py_ssize_t likeliest(PyObject *rows, Py_ssize_t states, const double *stays,
                            Py_ssize_t rates, double *work)
{
    double *belief = work, *row = belief + states * rates, *moves = row + states;
    double *totals = moves + rates;
    for (Py_ssize_t k = 0; k < rates; k++) {
        moves[k] = (1 - stays[k]) / (double)states;
    }
    for (Py_ssize_t i = 0; i < states * rates; i++) {
        belief[i] = 1;
    }
    for (Py_ssize_t at = 0; at < PyList_Size(rows); at++) {
        if (!read_floats(PyList_GetItem(rows, at), states, row)) {
            return -1;
        }
        step(belief, row, states, stays, moves, rates, totals);
    }
    Py_ssize_t best = 0;
    double most = -1;
    for (Py_ssize_t i = 0; i < states; i++) {
        double sum = belief[i * rates];
        for (Py_ssize_t k = 1; k < rates; k++) {
            sum += belief[i * rates + k];
        }
        if (sum > most) {
            most = sum;
            best = i;
        }
    }
    return best;
}

/* likeliest(rows, states, stays): rows: a list of rows of floats [states], stays: a tuple. */
CALLED(call_likeliest)
{
    (void)self;
    if (!expects(count, 3)) {
        return NULL;
    }
    Py_ssize_t states = PyLong_AsSsize_t(args[1]);
    Py_ssize_t rates = PyTuple_Check(args[2]) ? PyTuple_Size(args[2]) : 0;
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (!PyList_Check(args[0]) || rates < 1 || rates > RATES_MAX || states < 1
        || states > STATES_MAX) {
        PyErr_SetString(PyExc_ValueError, "expected a list of rows, their states, and stay rates");
        return NULL;
    }
    double stays[RATES_MAX], near[ROOM], *work = near;
    size_t needed = (size_t)(states * (rates + 1) + 2 * rates);
    if (needed > ROOM && !(work = PyMem_Malloc(needed * sizeof *work))) {
        return PyErr_NoMemory();
    }
    Py_ssize_t best = read_floats(args[2], rates, stays)
        ? likeliest(args[0], states, stays, rates, work) : -1;
    if (work != near) {
        PyMem_Free(work);
    }
    return best < 0 ? NULL : PyLong_FromSsize_t(best);
}
