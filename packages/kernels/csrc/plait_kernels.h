/* The C interface of plait's kernels: copies, reductions, their gradients, and softmax of strided arrays.
 *
 * Every function checks what it is handed and returns a status; none of them keeps a pointer. Strides are in bytes and
 * may be negative, zero, or leave gaps.
 */
#ifndef PLAIT_KERNELS_H
#define PLAIT_KERNELS_H

#include <stdint.h>

#if defined(_WIN32)
#define PLAIT_EXPORT __declspec(dllexport)
#else
#define PLAIT_EXPORT __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever a struct, an enumeration or a function changes. */
#define PLAIT_INTERFACE_VERSION 2

#define PLAIT_MAX_RANK 64

enum plait_status {
    PLAIT_OK = 0,
    PLAIT_BAD_ARGUMENT = 1,    /* a null pointer, a negative length, or a number outside of its enumeration */
    PLAIT_OUT_OF_BOUNDS = 2,   /* an element lies outside of the memory of its array */
    PLAIT_OVERLAP = 3,         /* elements of the result share memory with each other or with the source */
    PLAIT_UNSUPPORTED = 4,     /* there is no kernel for this operation on this element type */
    PLAIT_NO_MEMORY = 5,       /* scratch memory could not be allocated */
};

enum plait_operation {
    PLAIT_COPY = 0,
    PLAIT_MIN = 1,
    PLAIT_MAX = 2,
    PLAIT_SUM = 3,
    PLAIT_MEAN = 4,
    PLAIT_PROD = 5,
    PLAIT_ANY = 6,
    PLAIT_ALL = 7,
    PLAIT_ARGMIN = 8,     /* the result is int64: the row-major index among the reduced dimensions */
    PLAIT_ARGMAX = 9,
    PLAIT_VAR = 10,       /* of the population: divided by the number of elements */
    PLAIT_STD = 11,
    PLAIT_LOGSUMEXP = 12,
    PLAIT_SOFTMAX = 13,   /* along the marked dimensions; the result has every dimension of the source */
    PLAIT_LOG_SOFTMAX = 14,
    PLAIT_OPERATIONS = 15,
};

/* Sums and products of integers and booleans are int64 or uint64; any and all give bytes of 0 and 1; every other
 * result has the element type of the source, except that of argmin and argmax. */
enum plait_element {
    PLAIT_BOOL = 0,
    PLAIT_INT8 = 1,
    PLAIT_INT16 = 2,
    PLAIT_INT32 = 3,
    PLAIT_INT64 = 4,
    PLAIT_UINT8 = 5,
    PLAIT_UINT16 = 6,
    PLAIT_UINT32 = 7,
    PLAIT_UINT64 = 8,
    PLAIT_FLOAT16 = 9,
    PLAIT_BFLOAT16 = 10,
    PLAIT_FLOAT32 = 11,
    PLAIT_FLOAT64 = 12,
    PLAIT_COMPLEX64 = 13,
    PLAIT_COMPLEX128 = 14,
    PLAIT_DATETIME = 15,  /* int64, whose least value NaT is the result wherever it occurs */
    PLAIT_ELEMENTS = 16,
};

/* An array: the address of its first element, and the memory that it may touch, `begin` to `end`. */
struct plait_array {
    void *data;
    void *begin;
    void *end;
};

/* What is computed. A reduction drops the dimensions whose bit is set in `reduced`; their `out_strides` are ignored. */
struct plait_task {
    int32_t operation;
    int32_t element;    /* for a copy it is ignored */
    int64_t itemsize;   /* bytes of an element, for a copy alone: 1 to 1 << 20 */
    int32_t rank;
    int32_t threads;    /* the most threads to use; 0: as many as plait_threads() returns */
    uint64_t reduced;
    int64_t shape[PLAIT_MAX_RANK];
    int64_t in_strides[PLAIT_MAX_RANK];
    int64_t out_strides[PLAIT_MAX_RANK];
};

/* The gradient of a reduction, with respect to the source. The strides of the result and of its gradient are those of
 * the dimensions of the source; those of reduced dimensions are ignored. */
struct plait_gradient_task {
    int32_t operation;
    int32_t element;    /* of all arrays */
    int32_t rank;
    int32_t threads;    /* as in plait_task */
    uint64_t reduced;
    int64_t shape[PLAIT_MAX_RANK];
    int64_t source_strides[PLAIT_MAX_RANK];
    int64_t result_strides[PLAIT_MAX_RANK];
    int64_t result_gradient_strides[PLAIT_MAX_RANK];
    int64_t strides[PLAIT_MAX_RANK]; /* of the gradient, which has the shape of the source */
};

PLAIT_EXPORT int32_t plait_interface_version(void);

/* Computes a task. */
PLAIT_EXPORT int32_t plait_run(const struct plait_task *task, const struct plait_array *in,
                               const struct plait_array *out);

/* Computes the gradient of the source from the source, the result of the reduction, and the gradient of the result.
 *
 * The gradient of a mean reads neither the source nor the result, and those of a variance and of a product read no
 * result; what is not read may be null. Elements that are equal to a minimum or maximum share its gradient equally.
 * There are kernels for min, max, mean, prod, var, std and logsumexp of floating-point numbers. */
PLAIT_EXPORT int32_t plait_run_gradient(const struct plait_gradient_task *task, const struct plait_array *source,
                                        const struct plait_array *result, const struct plait_array *result_gradient,
                                        const struct plait_array *gradient);

/* Whether there is a kernel for an operation on an element type: PLAIT_OK, PLAIT_UNSUPPORTED, or PLAIT_BAD_ARGUMENT. */
PLAIT_EXPORT int32_t plait_supports(int32_t operation, int32_t element);

/* The same for the gradient of an operation. */
PLAIT_EXPORT int32_t plait_supports_gradient(int32_t operation, int32_t element);

/* The number of threads: PLAIT_THREADS, else OMP_NUM_THREADS, else the CPUs that the process may use. */
PLAIT_EXPORT int32_t plait_threads(void);

/* Sets the number of threads, at least 1; 0 restores the default. Returns the number that was set before. */
PLAIT_EXPORT int32_t plait_set_threads(int32_t threads);

/* The name of the instruction set in use: "baseline", "avx2" or "avx512". */
PLAIT_EXPORT const char *plait_instruction_set(void);

/* Selects an instruction set by name, for tests: PLAIT_OK, or PLAIT_UNSUPPORTED if the CPU does not have it. */
PLAIT_EXPORT int32_t plait_set_instruction_set(const char *name);

#ifdef __cplusplus
}
#endif

#endif
