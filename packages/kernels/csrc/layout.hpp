// The dimensions of a task, checked and brought into the form that the loops need.
#pragma once

#include <cstdint>

#include "plait_kernels.h"

namespace plait {

// A dimension: its length, its strides in bytes in the source and in the result, and whether it is reduced.
// `weight` is what one step along it adds to the index that argmin and argmax return.
struct Dimension {
    int64_t length;
    int64_t in;
    int64_t out;
    bool reduced;
    int64_t weight;
    int64_t result = 0;    // the strides of what a gradient is computed from: of the result of the reduction, and of its
    int64_t gradient = 0;  // gradient; 0 if the dimension is reduced
};

// Dimensions from the outermost to the innermost, and the addresses of the element that is visited first.
struct Layout {
    Dimension dimensions[PLAIT_MAX_RANK + 1];
    int rank;
    const char *in;
    char *out;
    int64_t elements;  // of the source
    int64_t index;     // of the element that is visited first, for argmin and argmax
    char *out_begin;   // the memory of the result, of which each byte but those of gaps is written
    char *out_end;
    const char *result = nullptr, *gradient = nullptr;
};

// Checks a task and its arrays, and fills `layout` with its dimensions, without those of length 1.
// `in_size` and `out_size` are the bytes of an element.
int32_t check_and_lay_out(const plait_task &task, const plait_array &in, const plait_array &out, int64_t in_size,
                          int64_t out_size, Layout &layout);

// The same for a gradient. The source and the result are null if the operation does not read them; the layout then has
// the gradient in place of the source.
int32_t check_and_lay_out_gradient(const plait_gradient_task &task, const plait_array *source, const plait_array *result,
                                   const plait_array &result_gradient, const plait_array &gradient, int64_t size,
                                   Layout &layout);

// Appends an innermost dimension of the parts of an element, such as the real and the imaginary number.
void append_parts(Layout &layout, int64_t parts, int64_t size);

// Sorts the dimensions of a copy by the result's strides, which become positive, and merges adjacent ones.
void coalesce_copy(Layout &layout);

// Sorts the dimensions of a reduction by the source's strides, which become positive, and merges adjacent ones.
// Dimensions of stride 0 come first. With `indexed`, also the weights must allow that dimensions are merged.
void coalesce_reduction(Layout &layout, bool indexed);

}  // namespace plait
