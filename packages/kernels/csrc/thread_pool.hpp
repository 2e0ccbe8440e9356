// A small pool of threads for loops whose units can be computed in any order.
#pragma once

#include <cstdint>

namespace plait {

constexpr int MAX_THREADS = 256;

// Calls `function(context, first, last)` for consecutive ranges that together are 0 to `units`, each of at most
// `range` units, on at most `threads` threads, of which one is the caller. Returns when all are done.
// If the pool is in use by another thread, the caller computes all of them alone.
void for_each_range(int64_t units, int64_t range, int threads, void (*function)(void *, int64_t, int64_t),
                    void *context);

// The number of threads that calls use by default: PLAIT_THREADS, else OMP_NUM_THREADS, else the usable CPUs.
int default_threads();

// The number that was set, or the default.
int thread_count();

// Sets the number; 0 restores the default. Returns the number before.
int set_thread_count(int count);

}  // namespace plait
