#include "pages.hpp"

#include <new>

#include "thread_pool.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace plait {
namespace {

constexpr int PAGE_BITS = 21;
constexpr int64_t LARGE_PAGE = 1 << PAGE_BITS, SMALL_PAGE = 1 << 12;
constexpr int64_t MIN_BYTES = 1 << 22;  // NumPy asks for large pages from here on as well

}  // namespace

Pages::Pages(char *begin, char *end) {
#if defined(__linux__)
    if (end - begin < MIN_BYTES) return;
    const uintptr_t mask = LARGE_PAGE - 1;
    begin_ = reinterpret_cast<char *>((reinterpret_cast<uintptr_t>(begin) + mask) & ~mask);
    const int64_t count = (end - begin_) / LARGE_PAGE;
    if (count < 1) return;
    states_.reset(new (std::nothrow) std::atomic<State>[count]);
    if (!states_) return;
    for (int64_t page = 0; page < count; ++page) states_[page].store(UNKNOWN, std::memory_order_relaxed);
    count_ = count;
    madvise(begin_, count * LARGE_PAGE, MADV_HUGEPAGE);  // only advice: it may be refused
#else
    (void)begin, (void)end;
#endif
}

int64_t Pages::page_of(const char *address) const {
    const int64_t distance = static_cast<int64_t>(reinterpret_cast<uintptr_t>(address) -
                                                  reinterpret_cast<uintptr_t>(begin_));
    const int64_t page = distance >> PAGE_BITS;
    return page < 0 ? 0 : page < count_ ? page : count_ - 1;
}

// Writes near the end of a page: Linux clears a large page towards the address that is written first, and is faster in
// ascending order than in descending order, which it would use when a program writes a page from its beginning.
Pages::State Pages::provide_page(int64_t page) {
    State state = states_[page].load(std::memory_order_relaxed);
    if (state != UNKNOWN) return state;
    state = OLD;
#if defined(__linux__)
    char *address = begin_ + page * LARGE_PAGE;
    unsigned char is_present = 1;
    if (mincore(address, SMALL_PAGE, &is_present) == 0 && !(is_present & 1)) {
        state = NEW;
        // changes nothing, also if another thread has written there
        __atomic_fetch_or(address + LARGE_PAGE - SMALL_PAGE, 0, __ATOMIC_RELAXED);
    }
#endif
    states_[page].store(state, std::memory_order_relaxed);
    return state;
}

bool Pages::provide(const char *first, const char *last) {
    if (count_ == 0) return false;
    const int64_t from = page_of(first), to = page_of(last), step = from < to ? 1 : -1;
    for (int64_t page = from; page != to; page += step) provide_page(page);
    return provide_page(to) == NEW;
}

void Pages::provide_all(int threads) {
    for_each_range(count_, 1, threads,
                   [](void *pages, int64_t first, int64_t last) {
                       for (int64_t page = first; page < last; ++page) static_cast<Pages *>(pages)->provide_page(page);
                   },
                   this);
}

}  // namespace plait
