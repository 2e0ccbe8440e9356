// Loops that reduce the accumulators of a row. Compiled once for each instruction set, in its namespace.
#pragma once

#include <cstdint>

#include "vectorize.hpp"

namespace plait {
namespace PLAIT_INSTRUCTION_SET {

// Reduces the middle dimension of states of the shape (outer, 2, INNER).
template <int INNER, class Get, class Join, class Set>
inline void join_pairs(int64_t outer, Get get, Join join, Set set) {
    for (int j = 0; j < INNER; ++j) {
        PLAIT_VECTORIZE
        for (int64_t i = 0; i < outer; ++i) {
            set(i * INNER + j, join(get(2 * i * INNER + j), get((2 * i + 1) * INNER + j)));
        }
    }
}

// Reduces the middle dimension of states of the shape (outer, width, inner). Each state is written after those that it
// joins were read, and no later one joins it.
template <class Get, class Join, class Set>
inline void join_middle(int64_t outer, int64_t width, int64_t inner, Get get, Join join, Set set) {
    if (outer == 1) {
        for (int64_t rest = width; rest > 1;) {  // halve, so that each step is one long loop
            const int64_t half = (rest + 1) / 2, shift = half * inner, count = (rest - half) * inner;
            PLAIT_VECTORIZE
            for (int64_t i = 0; i < count; ++i) set(i, join(get(i), get(i + shift)));
            rest = half;
        }
        return;
    }
    if (inner == 1) {
        for (; width % 2 == 0; width /= 2) {
            const int64_t pairs = outer * (width / 2);
            PLAIT_VECTORIZE
            for (int64_t i = 0; i < pairs; ++i) set(i, join(get(2 * i), get(2 * i + 1)));
        }
        for (; width % 3 == 0; width /= 3) {
            const int64_t triples = outer * (width / 3);
            PLAIT_VECTORIZE
            for (int64_t i = 0; i < triples; ++i) {
                set(i, join(join(get(3 * i), get(3 * i + 1)), get(3 * i + 2)));
            }
        }
        for (int64_t i = 0; i < outer && width > 1; ++i) {
            auto state = get(i * width);
            for (int64_t k = 1; k < width; ++k) state = join(state, get(i * width + k));
            set(i, state);
        }
        return;
    }
    if (inner <= 4 && width == 2) {  // pairs of a few channels: loops over channels would be too short
        if (inner == 2) return join_pairs<2>(outer, get, join, set);
        if (inner == 3) return join_pairs<3>(outer, get, join, set);
        return join_pairs<4>(outer, get, join, set);
    }
    for (int64_t i = 0; i < outer; ++i) {
        const int64_t to = i * inner, from = i * width * inner;
        PLAIT_VECTORIZE
        for (int64_t j = 0; j < inner; ++j) set(to + j, join(get(from + j), get(from + inner + j)));
        for (int64_t k = 2; k < width; ++k) {
            PLAIT_VECTORIZE
            for (int64_t j = 0; j < inner; ++j) set(to + j, join(get(to + j), get(from + k * inner + j)));
        }
    }
}

}  // namespace PLAIT_INSTRUCTION_SET
}  // namespace plait
