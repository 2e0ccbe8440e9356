#include "layout.hpp"

#include <algorithm>

namespace plait {
namespace {

// The distances in bytes from the first element to the lowest and beyond the highest byte; false if they overflow.
template <class Task>
bool extent(const Task &task, const int64_t *strides, uint64_t skipped, int64_t size, int64_t &low, int64_t &high) {
    low = 0;
    high = size;
    for (int i = 0; i < task.rank; ++i) {
        if (skipped >> i & 1) continue;
        int64_t reach;
        if (__builtin_mul_overflow(strides[i], task.shape[i] - 1, &reach)) return false;
        if (__builtin_add_overflow(reach < 0 ? low : high, reach, reach < 0 ? &low : &high)) return false;
    }
    return true;
}

bool within(const plait_array &array, int64_t low, int64_t high) {
    const auto begin = reinterpret_cast<uintptr_t>(array.begin), end = reinterpret_cast<uintptr_t>(array.end);
    const auto data = reinterpret_cast<uintptr_t>(array.data);
    if (begin > end || data < begin || data > end) return false;
    return 0 - static_cast<uint64_t>(low) <= data - begin && static_cast<uint64_t>(high) <= end - data;
}

// Whether no two elements of the result share a byte. Sufficient: each stride skips all that lies inside of it.
bool elements_are_apart(const plait_task &task, uint64_t skipped, int64_t size) {
    Dimension sorted[PLAIT_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < task.rank; ++i) {
        if (skipped >> i & 1 || task.shape[i] == 1) continue;
        const int64_t stride = task.out_strides[i];
        sorted[rank++] = {task.shape[i], 0, stride < 0 ? -stride : stride, false, 0};
    }
    std::sort(sorted, sorted + rank, [](const Dimension &a, const Dimension &b) { return a.out < b.out; });
    int64_t inside = size;
    for (int i = 0; i < rank; ++i) {
        if (sorted[i].out < inside) return false;
        inside += sorted[i].out * (sorted[i].length - 1);
    }
    return true;
}

void flip(Layout &layout, Dimension &dimension) {
    layout.in += dimension.in * (dimension.length - 1);
    layout.out += dimension.out * (dimension.length - 1);
    layout.result += dimension.result * (dimension.length - 1);
    layout.gradient += dimension.gradient * (dimension.length - 1);
    dimension.in = -dimension.in;
    dimension.out = -dimension.out;
    dimension.result = -dimension.result;
    dimension.gradient = -dimension.gradient;
}

template <class Continues>
void merge_adjacent(Layout &layout, Continues continues) {
    int rank = 0;
    for (int i = 0; i < layout.rank; ++i) {
        const Dimension inner = layout.dimensions[i];
        if (rank && continues(layout.dimensions[rank - 1], inner)) {
            Dimension &outer = layout.dimensions[rank - 1];
            const int64_t length = outer.length * inner.length;
            outer = inner;
            outer.length = length;
        } else {
            layout.dimensions[rank++] = inner;
        }
    }
    layout.rank = rank;
}

}  // namespace

int32_t check_and_lay_out(const plait_task &task, const plait_array &in, const plait_array &out, int64_t in_size,
                          int64_t out_size, Layout &layout) {
    if (task.rank < 0 || task.rank > PLAIT_MAX_RANK || !in.data || !out.data) return PLAIT_BAD_ARGUMENT;
    if (task.rank < 64 && task.reduced >> task.rank) return PLAIT_BAD_ARGUMENT;
    layout.rank = 0;
    layout.in = static_cast<const char *>(in.data);
    layout.out = static_cast<char *>(out.data);
    layout.elements = 1;
    layout.index = 0;
    const bool drops = task.operation != PLAIT_SOFTMAX && task.operation != PLAIT_LOG_SOFTMAX;
    const uint64_t dropped = drops ? task.reduced : 0;
    for (int i = 0; i < task.rank; ++i) {
        if (task.shape[i] < 0) return PLAIT_BAD_ARGUMENT;
        if (__builtin_mul_overflow(layout.elements, task.shape[i], &layout.elements)) return PLAIT_BAD_ARGUMENT;
    }
    if (layout.elements == 0) return PLAIT_BAD_ARGUMENT;  // the caller knows what an empty reduction is
    int64_t low, high;
    if (!extent(task, task.in_strides, 0, in_size, low, high) || !within(in, low, high)) return PLAIT_OUT_OF_BOUNDS;
    const char *in_begin = layout.in + low, *in_end = layout.in + high;
    if (!extent(task, task.out_strides, dropped, out_size, low, high) || !within(out, low, high)) {
        return PLAIT_OUT_OF_BOUNDS;
    }
    if (layout.out + low < in_end && in_begin < layout.out + high) return PLAIT_OVERLAP;
    layout.out_begin = layout.out + low;
    layout.out_end = layout.out + high;
    if (!elements_are_apart(task, dropped, out_size)) return PLAIT_OVERLAP;
    int64_t weight = 1;
    for (int i = task.rank - 1; i >= 0; --i) {
        const bool reduced = task.reduced >> i & 1;
        if (task.shape[i] > 1) {
            const int64_t out_stride = dropped >> i & 1 ? 0 : task.out_strides[i];
            layout.dimensions[layout.rank++] = {task.shape[i], task.in_strides[i], out_stride, reduced,
                                                reduced ? weight : 0};
        }
        if (reduced) weight *= task.shape[i];
    }
    std::reverse(layout.dimensions, layout.dimensions + layout.rank);
    return PLAIT_OK;
}

int32_t check_and_lay_out_gradient(const plait_gradient_task &task, const plait_array *source, const plait_array *result,
                                   const plait_array &result_gradient, const plait_array &gradient, int64_t size,
                                   Layout &layout) {
    if (task.rank < 0 || task.rank > PLAIT_MAX_RANK) return PLAIT_BAD_ARGUMENT;
    plait_task as_softmax{};  // whose result has every element of the source, too
    as_softmax.operation = PLAIT_SOFTMAX;
    as_softmax.rank = task.rank;
    as_softmax.reduced = task.reduced;
    std::copy(task.shape, task.shape + task.rank, as_softmax.shape);
    std::copy(task.strides, task.strides + task.rank, as_softmax.out_strides);
    for (int i = 0; i < task.rank; ++i) {
        const bool reduced = task.reduced >> i & 1;
        as_softmax.in_strides[i] = source ? task.source_strides[i] : reduced ? 0 : task.result_gradient_strides[i];
    }
    const int32_t status = check_and_lay_out(as_softmax, source ? *source : result_gradient, gradient, size, size, layout);
    if (status) return status;
    for (int i = 0; !source && i < layout.rank; ++i) layout.dimensions[i].in = layout.dimensions[i].out;
    if (!source) layout.in = layout.out;
    const struct {
        const plait_array *array;
        const int64_t *strides;
        const char *Layout::*data;
        int64_t Dimension::*stride;
    } operands[] = {{result, task.result_strides, &Layout::result, &Dimension::result},
                    {&result_gradient, task.result_gradient_strides, &Layout::gradient, &Dimension::gradient}};
    for (const auto &operand : operands) {
        if (!operand.array) continue;
        if (!operand.array->data) return PLAIT_BAD_ARGUMENT;
        int64_t low, high;
        const auto data = static_cast<const char *>(operand.array->data);
        if (!extent(task, operand.strides, task.reduced, size, low, high) || !within(*operand.array, low, high)) {
            return PLAIT_OUT_OF_BOUNDS;
        }
        if (layout.out_begin < data + high && data + low < layout.out_end) return PLAIT_OVERLAP;
        layout.*operand.data = data;
        for (int i = 0, place = 0; i < task.rank; ++i) {
            if (task.shape[i] == 1) continue;
            layout.dimensions[place++].*operand.stride = task.reduced >> i & 1 ? 0 : operand.strides[i];
        }
    }
    return PLAIT_OK;
}

void append_parts(Layout &layout, int64_t parts, int64_t size) {
    if (parts > 1) layout.dimensions[layout.rank++] = {parts, size, size, false, 0};
}

void coalesce_copy(Layout &layout) {
    for (int i = 0; i < layout.rank; ++i) {
        if (layout.dimensions[i].out < 0) flip(layout, layout.dimensions[i]);
    }
    std::stable_sort(layout.dimensions, layout.dimensions + layout.rank,
                     [](const Dimension &a, const Dimension &b) { return a.out > b.out; });
    merge_adjacent(layout, [](const Dimension &outer, const Dimension &inner) {
        return outer.out == inner.length * inner.out && outer.in == inner.length * inner.in;
    });
}

void coalesce_reduction(Layout &layout, bool indexed) {
    for (int i = 0; i < layout.rank; ++i) {
        Dimension &dimension = layout.dimensions[i];
        if (!indexed) dimension.weight = 0;
        if (dimension.in < 0) {
            flip(layout, dimension);
            layout.index += dimension.weight * (dimension.length - 1);  // the index counts down from the other end
            dimension.weight = -dimension.weight;
        }
    }
    std::stable_sort(layout.dimensions, layout.dimensions + layout.rank, [](const Dimension &a, const Dimension &b) {
        return (a.in ? a.in : INT64_MAX) > (b.in ? b.in : INT64_MAX);
    });
    merge_adjacent(layout, [](const Dimension &outer, const Dimension &inner) {
        return outer.reduced == inner.reduced && outer.in == inner.length * inner.in &&
               outer.out == inner.length * inner.out && outer.weight == inner.length * inner.weight &&
               outer.result == inner.length * inner.result && outer.gradient == inner.length * inner.gradient;
    });
}

}  // namespace plait
