/* What the functions of the module hdc._native share: buffers of arrays in, checked for their size,
 * and released when a call ends. */
#ifndef AURICLE_CALLS_H
#define AURICLE_CALLS_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>

#include "level.h"

#define LONG_BYTES (1 << 20)
#define BUFFERS_MAX 12

/* The buffers that a call holds. */
typedef struct {
    Py_buffer held[BUFFERS_MAX];
    int count;
} buffers;

static inline void release(buffers *all)
{
    while (all->count) {
        PyBuffer_Release(&all->held[--all->count]);
    }
}

/* Returns the memory of an array with at least `bytes` bytes; NULL with an exception otherwise. */
static inline void *take(buffers *all, PyObject *array, Py_ssize_t bytes, int flags)
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

static inline const void *in(buffers *all, PyObject *array, Py_ssize_t bytes)
{
    return take(all, array, bytes, PyBUF_SIMPLE);
}

static inline void *out(buffers *all, PyObject *array, Py_ssize_t bytes)
{
    return take(all, array, bytes, PyBUF_WRITABLE);
}

static inline const native_level *level_of(PyObject *self)
{
    return PyCapsule_GetPointer(self, NULL);
}

static inline int expects(Py_ssize_t found, Py_ssize_t expected)
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
static inline PyObject *result(buffers *all, int ran, int inexact)
{
    release(all);
    return ran ? PyBool_FromLong(!inexact) : NULL;
}

#define CALLED(name) PyObject *name(PyObject *self, PyObject *const *args, Py_ssize_t count)

/* decisions.c */
CALLED(call_join);
CALLED(call_decide);
CALLED(call_spread);

/* streams.c */
CALLED(call_likeliest);
CALLED(call_upper_tail);

/* votes.c */
CALLED(call_slide);
CALLED(call_leader);
CALLED(call_decisive);
CALLED(call_gather);
CALLED(call_prefer);

#endif
