#include "pages.hpp"

#include "thread_pool.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace plait {
namespace {

constexpr uintptr_t LARGE_PAGE = 1 << 21, SMALL_PAGE = 1 << 12;
constexpr int64_t MIN_BYTES = 1 << 22;  // NumPy asks for large pages from here on as well

// Writes to each large page, near its end: Linux clears a page towards the address that is written first, and is faster
// in ascending order than in descending order, which it would use when a program writes a page from its beginning.
void touch_pages(void *context, int64_t first, int64_t last) {
    char *pages = static_cast<char *>(context);
    for (int64_t page = first; page < last; ++page) {
        char *address = pages + page * static_cast<int64_t>(LARGE_PAGE) + (LARGE_PAGE - SMALL_PAGE);
        __atomic_fetch_or(address, 0, __ATOMIC_RELAXED);  // a write that changes nothing, also for other threads
    }
}

}  // namespace

void provide_pages(char *begin, char *end, int threads) {
#if defined(__linux__)
    if (end - begin < MIN_BYTES) return;
    const uintptr_t first = (reinterpret_cast<uintptr_t>(begin) + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    const uintptr_t last = reinterpret_cast<uintptr_t>(end) / LARGE_PAGE * LARGE_PAGE;
    if (first >= last) return;
    madvise(reinterpret_cast<void *>(first), last - first, MADV_HUGEPAGE);  // only advice: it may be refused
    for_each_range(static_cast<int64_t>((last - first) / LARGE_PAGE), 1, threads, touch_pages,
                   reinterpret_cast<void *>(first));
#else
    (void)begin, (void)end, (void)threads;
#endif
}

}  // namespace plait
