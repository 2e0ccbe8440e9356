// A test of the thread pool for the thread sanitizer: loops from several threads at once, each unit once, and forks.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "plait_kernels.h"
#include "thread_pool.hpp"

namespace {

void require(bool condition, const char *what) {
    if (condition) return;
    std::fprintf(stderr, "failed: %s\n", what);
    std::_Exit(1);
}

void mark(void *context, int64_t first, int64_t last) {
    int *counts = static_cast<int *>(context);
    for (int64_t i = first; i < last; ++i) ++counts[i];
}

void check_loops(int rounds) {
    for (int round = 0; round < rounds; ++round) {
        const int64_t units = 1 + round * 37 % 500, range = round % 5;
        std::vector<int> counts(units, 0);
        plait::for_each_range(units, range, 1 + round % 6, mark, counts.data());
        for (int64_t i = 0; i < units; ++i) require(counts[i] == 1, "each unit is computed once");
    }
}

// A sum of a matrix along both dimensions, through the C interface.
void check_sums(int rounds) {
    const int64_t rows = 700, columns = 1000;
    std::vector<float> source(rows * columns, 1.0f);
    for (int round = 0; round < rounds; ++round) {
        std::vector<float> result(columns, 0.0f);
        plait_task task{};
        task.operation = PLAIT_SUM;
        task.element = PLAIT_FLOAT32;
        task.itemsize = sizeof(float);
        task.rank = 2;
        task.threads = 1 + round % 4;
        task.reduced = round % 2 ? 1 : 3;
        task.shape[0] = rows;
        task.shape[1] = columns;
        task.in_strides[0] = columns * sizeof(float);
        task.in_strides[1] = task.out_strides[1] = sizeof(float);
        plait_array in{source.data(), source.data(), source.data() + source.size()};
        plait_array out{result.data(), result.data(), result.data() + result.size()};
        require(plait_run(&task, &in, &out) == PLAIT_OK, "a sum has no error");
        require(result[0] == (round % 2 ? rows : rows * columns), "a sum is right");
    }
}

void check_from_threads(int rounds) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([rounds] {
            check_loops(rounds);
            check_sums(rounds / 20);
            plait_set_threads(plait_threads());
            plait_set_instruction_set(plait_instruction_set());
        });
    }
    for (std::thread &thread : threads) thread.join();
}

void check_fork() {
    const pid_t child = fork();
    require(child >= 0, "fork");
    if (child == 0) {
        check_loops(20);
        std::_Exit(0);
    }
    int status = 0;
    require(waitpid(child, &status, 0) == child && status == 0, "the child ends without an error");
}

}  // namespace

int main(int count, char **arguments) {
    const int rounds = count > 1 ? std::atoi(arguments[1]) : 1000;
    check_from_threads(rounds);
    for (int i = 0; i < 5; ++i) {
        check_fork();
        check_loops(20);
    }
    std::puts("ok");
    return 0;
}
