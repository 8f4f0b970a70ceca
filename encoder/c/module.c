/* The module encoder._native: the scaling of pictures of the processor's best instruction set, and
 * the quantisation of features.
 *
 * It keeps no state.  Python makes the arguments; their sizes are checked here once more. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>

#include "resize.h"

#define ARGUMENTS 8
#define SIDE_MAX (1 << 20)

/* Checks that every position is made of positions of the source: below `limit`, in order. */
static int is_sound(const picture_axis *axis, int64_t limit)
{
    int64_t end = 0;
    for (int64_t i = 0; i < axis->size; i++) {
        int64_t first = axis->bounds[2 * i], count = axis->bounds[2 * i + 1];
        if (first < axis->bounds[0] || count < 1 || count > axis->most || first + count > limit
            || first + count < end) {
            return 0;
        }
        end = first + count;
    }
    return axis->size > 0 && axis->bounds[0] >= 0;
}

static void read_axis(picture_axis *axis, const Py_buffer *bounds, const Py_buffer *weights)
{
    axis->bounds = bounds->buf;
    axis->weights = weights->buf;
    axis->size = bounds->len / (2 * (Py_ssize_t)sizeof(int32_t));
    axis->most = axis->size ? weights->len / (4 * axis->size) : 0;
}

static int scale(picture_resize *run, const Py_buffer *held, int64_t width, int64_t blocks)
{
    const Py_buffer *source = &held[0], *made = &held[5];
    picture_scaling s = {.source = source->buf, .made = made->buf, .blocks = blocks != 0};
    read_axis(&s.across, &held[1], &held[2]);
    read_axis(&s.down, &held[3], &held[4]);
    s.width = width;
    if (width < 1 || width > SIDE_MAX || s.across.size > SIDE_MAX || s.down.size > SIDE_MAX
        || !is_sound(&s.across, width) || !is_sound(&s.down, source->len / (BANDS * width))
        || made->len != BANDS * s.across.size * s.down.size
        || (blocks && (s.across.size % 2 || s.down.size % 2))) {
        PyErr_SetString(PyExc_ValueError, "the sizes of a picture and of its scaling differ");
        return 0;
    }
    int64_t end = s.down.size - 1;
    int64_t rows = (int64_t)s.down.bounds[2 * end] + s.down.bounds[2 * end + 1] - s.down.bounds[0];
    if (!(s.work = PyMem_Malloc((size_t)work_bytes(s.across.size, width, rows)))) {
        PyErr_NoMemory();
        return 0;
    }
    PyThreadState *kept = PyEval_SaveThread();
    run(&s);
    PyEval_RestoreThread(kept);
    PyMem_Free(s.work);
    return 1;
}

/* resize(source, across_bounds, across_weights, down_bounds, down_weights, made, width, blocks) */
static PyObject *resize(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    Py_buffer held[ARGUMENTS - 2];
    int taken = 0, done = 0;
    if (count != ARGUMENTS) {
        PyErr_Format(PyExc_TypeError, "expected %d arguments, found %zd", ARGUMENTS, count);
        return NULL;
    }
    int64_t width = PyLong_AsLongLong(args[ARGUMENTS - 2]);
    int64_t blocks = PyLong_AsLongLong(args[ARGUMENTS - 1]);
    while (!PyErr_Occurred() && taken < ARGUMENTS - 2) {
        int flags = taken == ARGUMENTS - 3 ? PyBUF_WRITABLE : PyBUF_SIMPLE;
        taken += PyObject_GetBuffer(args[taken], &held[taken], flags) == 0;
    }
    if (!PyErr_Occurred()) {
        picture_resize *const *run = PyCapsule_GetPointer(self, NULL);
        done = run && scale(*run, held, width, blocks);
    }
    while (taken) {
        PyBuffer_Release(&held[--taken]);
    }
    if (!done) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef method = {"resize", (PyCFunction)(void (*)(void))resize, METH_FASTCALL, NULL};

/* Adding and subtracting it rounds a double below 2^51 to a whole number, half to even. */
#define ROUND 6755399441055744.0
#define ROUNDED_MAX 1e15 /* beyond it a float32 is a whole number, or infinite */

static uint8_t level_of(float value, float scale, int32_t zero)
{
    double whole = value / scale;
    if (whole > -ROUNDED_MAX && whole < ROUNDED_MAX) {
        whole = whole + ROUND - ROUND;
    }
    whole += zero;
    return whole > 255 ? 255 : whole > 0 ? (uint8_t)whole : 0;
}

/* quantise(values, scale, zero, made): rows of float32, one scale (float32) and zero (int32) for
 * each column; made: a byte for each value.  Returns whether all values are finite. */
static PyObject *quantise(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    Py_buffer held[4];
    int taken = 0, finite = 0;
    (void)self;
    if (count != 4) {
        return PyErr_Format(PyExc_TypeError, "expected 4 arguments, found %zd", count);
    }
    while (!PyErr_Occurred() && taken < 4) {
        int flags = taken == 3 ? PyBUF_WRITABLE : PyBUF_SIMPLE;
        taken += PyObject_GetBuffer(args[taken], &held[taken], flags) == 0;
    }
    if (!PyErr_Occurred()) {
        const float *values = held[0].buf, *scale = held[1].buf;
        const int32_t *zero = held[2].buf;
        uint8_t *made = held[3].buf;
        Py_ssize_t width = held[1].len / 4, number = held[0].len / 4;
        if (held[2].len != 4 * width || held[3].len != number || !width || number % width) {
            PyErr_SetString(PyExc_ValueError, "the sizes of features and of their levels differ");
        } else {
            float apart = 0; /* an infinity less itself is no number */
            for (Py_ssize_t at = 0; at < number; at++) {
                apart += values[at] - values[at];
            }
            finite = apart == 0;
            for (Py_ssize_t row = 0; finite && row < number; row += width) {
                for (Py_ssize_t at = 0; at < width; at++) {
                    made[row + at] = level_of(values[row + at], scale[at], zero[at]);
                }
            }
        }
    }
    while (taken) {
        PyBuffer_Release(&held[--taken]);
    }
    return PyErr_Occurred() ? NULL : PyBool_FromLong(finite);
}

static PyMethodDef functions[] = {
    {"quantise", (PyCFunction)(void (*)(void))quantise, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static picture_resize *portable = resize_portable;
#if defined(__x86_64__)
static picture_resize *avx2 = resize_avx2, *sse42 = resize_sse42;
#endif

/* Adds an instruction set to the dictionary of all; returns 0 after an error. */
static int add(PyObject *all, const char *name, picture_resize **run)
{
    PyObject *capsule = PyCapsule_New(run, NULL, NULL);
    PyObject *function = capsule ? PyCFunction_NewEx(&method, capsule, NULL) : NULL;
    int done = function && PyDict_SetItemString(all, name, function) == 0;
    Py_XDECREF(function);
    Py_XDECREF(capsule);
    return done;
}

/* Fills in LEVELS: the function of each instruction set that this processor has, best first. */
static int fill(PyObject *module)
{
    PyObject *all = PyDict_New();
    int done = all != NULL;
#if defined(__x86_64__)
    done = done && (!__builtin_cpu_supports("avx2") || add(all, "avx2", &avx2))
        && (!__builtin_cpu_supports("sse4.2") || add(all, "sse42", &sse42));
#endif
    done = done && add(all, "portable", &portable)
        && PyModule_AddObjectRef(module, "LEVELS", all) == 0
        && PyModule_AddIntConstant(module, "INTERFACE", INTERFACE) == 0;
    Py_XDECREF(all);
    return done ? 0 : -1;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)fill},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_native", NULL, 0, functions, slots, NULL, NULL, NULL,
};

__attribute__((visibility("default"))) PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
