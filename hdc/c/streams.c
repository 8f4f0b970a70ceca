/* Functions of hdc._native on the numbers of a stream.  They take sequences of Python's floats, and
 * do each addition and multiplication in the order of the Python code, so that the bits are the same
 * on every machine: forward.py, normal.py. */
#include "calls.h"

#include <math.h>

#define RATES_MAX 16
#define STATES_MAX (1 << 20)
#define LOG2_HIGH 0.693147180559663
#define LOG2_LOW 2.8235290563031577e-13
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

/* Returns a polynomial; coefficients: of the highest power first. */
static double polynomial(const double *coefficients, int count, double at)
{
    double total = 0.0;
    for (int i = 0; i < count; i++) {
        total = total * at + coefficients[i];
    }
    return total;
}

/* Returns e to the power of a value up to 0. */
static double exponential(double value)
{
    const double inverse_factorials[] = {
        1 / 6227020800.0, 1 / 479001600.0, 1 / 39916800.0, 1 / 3628800.0, 1 / 362880.0,
        1 / 40320.0, 1 / 5040.0, 1 / 720.0, 1 / 120.0, 1 / 24.0, 1 / 6.0, 1 / 2.0, 1.0, 1.0,
    };
    if (!(value >= -745.2)) {
        return 0.0;
    }
    double power = floor(value / LOG2_HIGH + 0.5);
    double rest = value - power * LOG2_HIGH - power * LOG2_LOW;
    return ldexp(polynomial(inverse_factorials, 14, rest), (int)power);
}

/* Returns the complementary error function of a value that is not negative. */
static double erfc_of(double value)
{
    const double tail[] = {
        -1.256344216952182e-07, 1.6494895727155763e-07, 8.940901493709741e-07,
        -1.727326049131762e-06, -2.441078899024015e-06, 8.975258860162245e-06,
        -2.953130264916473e-07, -3.0442888560298027e-05, 3.1979777147290036e-05,
        7.150879124467131e-05, -0.00017438409851328946, -9.376570803720402e-05,
        0.0006736962456210654, -0.0001462411996729981, -0.00234581468605948,
        0.0017589329255461358, 0.00882493869732443, -0.009872689328928833,
        -0.046895610234684706, 0.04734330684100855, 0.6726432239776713,
        -0.6717940840566886,
    };
    double share = 2.0 / (2.0 + value);
    return share * exponential(polynomial(tail, 22, 2.0 * share - 1.0) - value * value);
}

/* upper_tail(score) */
CALLED(call_upper_tail)
{
    (void)self;
    if (!expects(count, 1)) {
        return NULL;
    }
    double score = PyFloat_AsDouble(args[0]);
    if (score == -1 && PyErr_Occurred()) {
        return NULL;
    }
    double value = score / sqrt(2.0);
    return PyFloat_FromDouble((value < 0 ? 2.0 - erfc_of(-value) : erfc_of(value)) / 2);
}
