// The memory of a large result, which the operating system may not have provided yet.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace plait {

// Large pages of a result. Those that are new are provided when the result reaches them: the operating system clears a
// page, which then is in the caches, and is written there instead of in main memory.
class Pages {
public:
    // The result lies between the two addresses. Nothing is written yet.
    Pages(char *begin, char *end);

    // Provides the pages that the bytes from `first` to `last` belong to, in either order. True if the page of `last`
    // was new, so that it is in the caches if it is written soon.
    bool provide(const char *first, const char *last);

    // Provides all pages, by several threads.
    void provide_all(int threads);

private:
    enum State : uint8_t { UNKNOWN, OLD, NEW };

    State provide_page(int64_t page);
    int64_t page_of(const char *address) const;

    char *begin_ = nullptr;
    int64_t count_ = 0;
    std::unique_ptr<std::atomic<State>[]> states_;
};

}  // namespace plait
