// The C functions: they check what they are handed, and divide the work among threads.
#include <atomic>
#include <cstring>
#include <new>

#include "copy.hpp"
#include "layout.hpp"
#include "operation.hpp"
#include "pages.hpp"
#include "plait_kernels.h"
#include "reduction.hpp"
#include "thread_pool.hpp"

namespace plait {
namespace {

constexpr int64_t MIN_BYTES_OF_THREAD = 1 << 18;  // less takes one thread about as long as it takes to wake another

struct InstructionSet {
    const char *name;
    FindOperation find_operation, find_gradient;
    TransposeTile transpose_tile;
    bool (*is_usable)();
};

// From the most to the least able.
constexpr InstructionSet INSTRUCTION_SETS[] = {
#if defined(PLAIT_X86)
    {"avx512", avx512::find_operation, avx512::find_gradient, avx512::transpose_tile,
     [] {
         return static_cast<bool>(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"));
     }},
    {"avx2", avx2::find_operation, avx2::find_gradient, avx2::transpose_tile,
     [] {
         return static_cast<bool>(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                                  __builtin_cpu_supports("f16c"));
     }},
#endif
    {"baseline", baseline::find_operation, baseline::find_gradient, baseline::transpose_tile, [] { return true; }},
};

std::atomic<const InstructionSet *> chosen_set{nullptr};

const InstructionSet &instruction_set() {
    const InstructionSet *found = chosen_set.load(std::memory_order_relaxed);
    if (found) return *found;
    for (const InstructionSet &set : INSTRUCTION_SETS) {
        if (set.is_usable()) {
            found = &set;
            break;
        }
    }
    chosen_set.store(found, std::memory_order_relaxed);
    return *found;
}

int threads_for(int64_t elements, int64_t size, int32_t wanted) {
    const int64_t most = elements / (MIN_BYTES_OF_THREAD / size + 1);
    int64_t count = wanted > 0 ? wanted : thread_count();
    if (count > MAX_THREADS) count = MAX_THREADS;
    return static_cast<int>(most < count ? most : count);
}

int32_t run_copy(const plait_task &task, const plait_array &in, const plait_array &out) {
    if (task.itemsize < 1 || task.itemsize > (1 << 20) || task.reduced) return PLAIT_BAD_ARGUMENT;
    Layout layout;
    const int32_t status = check_and_lay_out(task, in, out, task.itemsize, task.itemsize, layout);
    if (status) return status;
    int64_t word = 16;
    while (task.itemsize % word) word /= 2;
    if (task.itemsize > word) append_parts(layout, task.itemsize / word, word);
    layout.elements *= task.itemsize / word;
    coalesce_copy(layout);
    Pages pages(layout.out_begin, layout.out_end);
    Copy copy(layout, word, instruction_set().transpose_tile, pages);
    const int threads = threads_for(layout.elements, word, task.threads);
    copy.prepare(threads);
    const int64_t range = copy.units() / (threads > 1 ? 8 * threads : 1);
    for_each_range(copy.units(), range, threads,
                   [](void *context, int64_t first, int64_t last) {
                       static_cast<Copy *>(context)->run(first, last);
                   },
                   &copy);
    return PLAIT_OK;
}

// Complex sums are sums of real numbers with one more dimension.
int32_t real_element(int32_t operation, int32_t element) {
    if (operation != PLAIT_SUM && operation != PLAIT_MEAN) return element;
    return element == PLAIT_COMPLEX64 ? PLAIT_FLOAT32 : element == PLAIT_COMPLEX128 ? PLAIT_FLOAT64 : element;
}

bool is_known(int32_t operation, int32_t element) {
    return operation >= 0 && operation < PLAIT_OPERATIONS && element >= 0 && element < PLAIT_ELEMENTS;
}

const Operation *find(int32_t operation, int32_t element) {
    return instruction_set().find_operation(operation, real_element(operation, element));
}

// Checks a reduction and lays out its dimensions.
int32_t lay_out_reduction(const plait_task &task, const plait_array &in, const plait_array &out,
                          const Operation *&operation, Layout &layout) {
    operation = find(task.operation, task.element);
    if (!operation) return PLAIT_UNSUPPORTED;
    const int64_t parts = real_element(task.operation, task.element) == task.element ? 1 : 2;
    const int32_t status =
        check_and_lay_out(task, in, out, parts * operation->in_size, parts * operation->out_size, layout);
    if (status) return status;
    append_parts(layout, parts, operation->in_size);
    coalesce_reduction(layout, task.operation == PLAIT_ARGMIN || task.operation == PLAIT_ARGMAX);
    return PLAIT_OK;
}

bool is_softmax(const plait_task &task) {
    return task.operation == PLAIT_SOFTMAX || task.operation == PLAIT_LOG_SOFTMAX;
}

// Computes a reduction or a gradient on several threads.
int32_t run_units(const Layout &layout, const Operation &operation, bool writes_rows, int32_t wanted_threads) {
    Pages pages(layout.out_begin, layout.out_end);
    Reduction reduction(layout, operation, writes_rows, pages);
    if (!reduction.prepare()) return PLAIT_NO_MEMORY;
    const int threads = threads_for(layout.elements, operation.in_size, wanted_threads);
    const int64_t range = reduction.units() / (threads > 1 ? 8 * threads : 1);
    do {
        for_each_range(reduction.units(), range, threads,
                       [](void *context, int64_t first, int64_t last) {
                           static_cast<Reduction *>(context)->run(first, last);
                       },
                       &reduction);
        reduction.finish();
    } while (reduction.starts_second_pass());
    return reduction.failed() ? PLAIT_NO_MEMORY : PLAIT_OK;
}

int32_t run_reduction(const plait_task &task, const plait_array &in, const plait_array &out) {
    const Operation *operation;
    Layout layout;
    const int32_t status = lay_out_reduction(task, in, out, operation, layout);
    if (status) return status;
    return run_units(layout, *operation, is_softmax(task), task.threads);
}

int32_t run_gradient(const plait_gradient_task &task, const plait_array *source, const plait_array *result,
                     const plait_array &result_gradient, const plait_array &gradient) {
    const Operation *operation = instruction_set().find_gradient(task.operation, task.element);
    if (!operation) return PLAIT_UNSUPPORTED;
    if ((operation->uses_source && !source) || (operation->uses_result && !result)) return PLAIT_BAD_ARGUMENT;
    Layout layout;
    const int32_t status = check_and_lay_out_gradient(task, operation->uses_source ? source : nullptr,
                                                      operation->uses_result ? result : nullptr, result_gradient,
                                                      gradient, operation->in_size, layout);
    if (status) return status;
    if (layout.elements > UINT32_MAX && operation->sizes[2] == 4) return PLAIT_UNSUPPORTED;  // 32 bits count ties
    coalesce_reduction(layout, false);
    return run_units(layout, *operation, true, task.threads);
}

}  // namespace
}  // namespace plait

using namespace plait;

extern "C" {

int32_t plait_interface_version(void) { return PLAIT_INTERFACE_VERSION; }

int32_t plait_run(const plait_task *task, const plait_array *in, const plait_array *out) {
    if (!task || !in || !out || !is_known(task->operation, task->element)) return PLAIT_BAD_ARGUMENT;
    if (task->operation == PLAIT_COPY) return run_copy(*task, *in, *out);
    return run_reduction(*task, *in, *out);
}

int32_t plait_run_gradient(const plait_gradient_task *task, const plait_array *source, const plait_array *result,
                           const plait_array *result_gradient, const plait_array *gradient) {
    if (!task || !result_gradient || !gradient || !is_known(task->operation, task->element)) return PLAIT_BAD_ARGUMENT;
    return run_gradient(*task, source, result, *result_gradient, *gradient);
}

int32_t plait_supports_gradient(int32_t operation, int32_t element) {
    if (!is_known(operation, element)) return PLAIT_BAD_ARGUMENT;
    return instruction_set().find_gradient(operation, element) ? PLAIT_OK : PLAIT_UNSUPPORTED;
}

int32_t plait_supports(int32_t operation, int32_t element) {
    if (!is_known(operation, element)) return PLAIT_BAD_ARGUMENT;
    return operation == PLAIT_COPY || find(operation, element) ? PLAIT_OK : PLAIT_UNSUPPORTED;
}

int32_t plait_threads(void) { return thread_count(); }

int32_t plait_set_threads(int32_t threads) { return set_thread_count(threads); }

const char *plait_instruction_set(void) { return instruction_set().name; }

int32_t plait_set_instruction_set(const char *name) {
    for (const InstructionSet &set : INSTRUCTION_SETS) {
        if (name && std::strcmp(set.name, name) == 0 && set.is_usable()) {
            chosen_set.store(&set, std::memory_order_relaxed);
            return PLAIT_OK;
        }
    }
    return PLAIT_UNSUPPORTED;
}

}  // extern "C"
