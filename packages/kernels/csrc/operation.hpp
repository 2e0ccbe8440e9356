// What one reduction of one element type does with rows of elements. The loops around it know nothing else.
#pragma once

#include <cstdint>

namespace plait {

constexpr int PLANES = 3;

constexpr int64_t BLOCK = 64;  // accumulators of a row that has one result
constexpr int64_t MIN_BYTES_OF_LONG_ROW = 1 << 13;

// Accumulators of many results: accumulator `i` is element `i` of each plane that an operation uses.
struct Accumulators {
    char *plane[PLANES];

    Accumulators from(int64_t first, const int *sizes) const {
        Accumulators shifted = *this;
        for (int i = 0; i < PLANES; ++i) shifted.plane[i] += first * sizes[i];
        return shifted;
    }
};

// Rows of the source: `count` rows, at least one, `step` bytes apart, each of `length` windows of `width` elements,
// `stride` bytes apart. The elements of window `i` of every row belong to accumulator `i`. Most operations only have
// windows of 1. Only argmin and argmax look at the indices: that of element `i` of row `k` is
// `index + offsets[i] + k * step_weight`. Only softmax looks at the result, which has a place for each element. Rows of
// the same layout will be read next at `ahead`, unless it is null.
struct Rows {
    const char *data;
    int64_t count, step;
    int64_t length, width, stride;
    int64_t index, step_weight;
    const int64_t *offsets;
    char *out;
    int64_t out_step, out_stride;
    const char *ahead;

    // Whether rows of elements of `size` bytes are so long, or so far apart, that four are read at once, which loads and
    // stores the accumulators less often. Short rows that follow each other are read in order, because the processor
    // fetches them ahead.
    bool are_apart(int64_t size) const {
        return step < 0 || step > 2 * length * size || length * size >= MIN_BYTES_OF_LONG_ROW;
    }
};

// Numbers that are `stride` bytes apart.
struct Operand {
    const char *data;
    int64_t stride;
};

// The functions that add elements to accumulators.
struct Pass {
    // Makes accumulators of no elements.
    void (*start)(const Accumulators &accumulators, int64_t count);
    // Adds the elements of rows to their accumulators.
    void (*add)(const Accumulators &accumulators, const Rows &rows);
    // Makes accumulators of the elements of rows.
    void (*set)(const Accumulators &accumulators, const Rows &rows);
    // Reduces the middle dimension of accumulators of the shape (outer, width, inner), in place.
    void (*join)(const Accumulators &accumulators, int64_t outer, int64_t width, int64_t inner);
};

// A reduction of one element type. Some have a pivot for each result, in plane 0, which a first pass finds: a number near
// the mean for a variance, and the greatest element for logsumexp. The other pass sums what depends on the pivot.
struct Operation {
    int sizes[PLANES];  // bytes of an element of each plane; 0: the plane is not used
    int64_t in_size, out_size;
    int64_t max_width;      // of windows
    bool reads_in_strips;   // whether some rows of several results are read in strips

    Pass pass;
    // Adds accumulator `i` of `others` to accumulator `i`; null with a pivot.
    void (*merge)(const Accumulators &accumulators, const Accumulators &others, int64_t count);
    // Whether one of the accumulators, which belong to one result, decides the result; null if none ever does.
    bool (*is_final)(const Accumulators &accumulators, int64_t count);
    // Writes the results of `count` accumulators to `out`, `stride` bytes apart; `elements` were added to each.
    void (*write)(const Accumulators &accumulators, int64_t count, double elements, char *out, int64_t stride);

    // Only with a pivot. Whether any element near the others serves, so that the first pass may read a few elements
    // alone; otherwise it reads all.
    bool pivot_is_approximate;
    Pass pivot_pass;
    // Turns the results of the first pass, over `elements` elements each, into pivots.
    void (*make_pivots)(const Accumulators &accumulators, int64_t count, double elements);
    // Adds the accumulators of other elements, which have pivots of their own.
    void (*combine)(const Accumulators &accumulators, const Accumulators &others, int64_t count, double other_elements);

    // Only for softmax and gradients: writes what becomes of the elements of rows, for the finished accumulators of their
    // results.
    void (*write_rows)(const Accumulators &accumulators, const Rows &rows);

    // Only for gradients, whose planes are first made of `count` results and of their gradients. Plane 2 is a sum over
    // the elements; if there is one, it is added by `pass`, and `make_pivots` completes the other planes by it.
    void (*load)(const Accumulators &accumulators, int64_t count, double elements, Operand result, Operand gradient) = nullptr;
    // Repeats numbers of `size` bytes and of the shape (outer, inner) to the shape (outer, width, inner).
    void (*repeat)(int size, char *to, const char *from, int64_t outer, int64_t width, int64_t inner) = nullptr;
    bool uses_source = true;       // whether it reads the elements of the source
    bool uses_result = false;      // whether it reads the results
    bool sums_use_result = false;  // whether plane 0 is needed for the sums
};

// The reductions of one instruction set; null if there is none for the operation and the element type.
typedef const Operation *(*FindOperation)(int operation, int element);

// `find_gradient` finds the gradient of a reduction in the same way.

namespace baseline {
const Operation *find_operation(int operation, int element);
const Operation *find_gradient(int operation, int element);
}
namespace avx2 {
const Operation *find_operation(int operation, int element);
const Operation *find_gradient(int operation, int element);
}
namespace avx512 {
const Operation *find_operation(int operation, int element);
const Operation *find_gradient(int operation, int element);
}

}  // namespace plait
