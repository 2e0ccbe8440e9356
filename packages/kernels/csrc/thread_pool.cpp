#include "thread_pool.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif
#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace plait {
namespace {

// A loop that threads take ranges of.
struct Loop {
    std::atomic<int64_t> next{0};
    int64_t units, range;
    void (*function)(void *, int64_t, int64_t);
    void *context;

    void take_ranges() {
        for (;;) {
            const int64_t first = next.fetch_add(range, std::memory_order_relaxed);
            if (first >= units) return;
            function(context, first, first + range < units ? first + range : units);
        }
    }
};

// The threads and the loop that they work on. It is never destroyed: a thread may still wait when the process ends.
class Pool {
public:
    // Returns false if another thread uses the pool.
    bool run(Loop &loop, int helpers) {
        if (busy_.exchange(true, std::memory_order_acquire)) return false;
        {
            std::unique_lock<std::mutex> lock(mutex_);
            while (started_ < helpers && start_thread()) {
            }
            loop_ = &loop;
            wanted_ = helpers < started_ ? helpers : started_;
        }
        wake_.notify_all();
        loop.take_ranges();
        {
            std::unique_lock<std::mutex> lock(mutex_);
            wanted_ = 0;  // who has not begun need not
            done_.wait(lock, [this] { return active_ == 0; });
            loop_ = nullptr;
        }
        busy_.store(false, std::memory_order_release);
        return true;
    }

private:
    bool start_thread() {
        try {
            std::thread(&Pool::work, this).detach();
        } catch (const std::system_error &) {  // no more threads are allowed
            return false;
        }
        ++started_;
        return true;
    }

    void work() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            wake_.wait(lock, [this] { return wanted_ > 0; });
            --wanted_;
            ++active_;
            Loop *loop = loop_;
            lock.unlock();
            loop->take_ranges();
            lock.lock();
            if (--active_ == 0) done_.notify_one();
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_, done_;
    std::atomic<bool> busy_{false};
    Loop *loop_ = nullptr;
    int started_ = 0, wanted_ = 0, active_ = 0;
};

std::atomic<Pool *> current_pool{nullptr};

// A child process has none of its parent's threads: it makes a new pool, and forgets the old one.
void forget_pool() { current_pool.store(nullptr, std::memory_order_relaxed); }

Pool *pool() {
    Pool *found = current_pool.load(std::memory_order_acquire);
    if (found) return found;
    static std::once_flag registered;
#if !defined(_WIN32)
    std::call_once(registered, [] { pthread_atfork(nullptr, nullptr, forget_pool); });
#endif
    Pool *made = new (std::nothrow) Pool;
    if (!made) return nullptr;
    if (current_pool.compare_exchange_strong(found, made, std::memory_order_acq_rel)) return made;
    delete made;
    return found;
}

int positive_number(const char *name) {
    const char *text = std::getenv(name);
    if (!text) return 0;
    char *end;
    const long number = std::strtol(text, &end, 10);
    if (end == text || number < 1) return 0;
    return number < MAX_THREADS ? static_cast<int>(number) : MAX_THREADS;
}

int usable_cpus() {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    const unsigned count = std::thread::hardware_concurrency();
    return count ? static_cast<int>(count) : 1;
}

std::atomic<int> chosen_count{0};

}  // namespace

int default_threads() {
    static const int count = [] {
        int number = positive_number("PLAIT_THREADS");
        if (!number) number = positive_number("OMP_NUM_THREADS");
        if (!number) number = usable_cpus();
        return number < MAX_THREADS ? number : MAX_THREADS;
    }();
    return count;
}

int thread_count() {
    const int count = chosen_count.load(std::memory_order_relaxed);
    return count ? count : default_threads();
}

int set_thread_count(int count) {
    const int before = thread_count();
    chosen_count.store(count < 0 ? 0 : count < MAX_THREADS ? count : MAX_THREADS, std::memory_order_relaxed);
    return before;
}

void for_each_range(int64_t units, int64_t range, int threads, void (*function)(void *, int64_t, int64_t),
                    void *context) {
    if (range < 1) range = 1;
    const int64_t ranges = (units + range - 1) / range;
    if (threads > ranges) threads = static_cast<int>(ranges);
    if (threads > 1) {
        Loop loop;
        loop.units = units;
        loop.range = range;
        loop.function = function;
        loop.context = context;
        Pool *shared = pool();
        if (shared && shared->run(loop, threads - 1)) return;
    }
    function(context, 0, units);
}

}  // namespace plait
