// The reductions of each element type. Compiled once for each instruction set; loops over rows are written so that
// the compiler vectorises them, and give the same bits in all of them.
#include "operation.hpp"

#include <limits>
#include <type_traits>

#include "elements.hpp"
#include "join.hpp"
#include "plait_kernels.h"
#include "vectorize.hpp"

namespace plait {
namespace PLAIT_INSTRUCTION_SET {
namespace {

constexpr int64_t STRIP = 32;  // elements of a row whose accumulators stay in registers
constexpr int64_t FOUR = 4;    // rows that are read at once

template <class Stored>
inline Stored load(const char *address) {
    Stored stored;
    std::memcpy(&stored, address, sizeof stored);
    return stored;
}

// The numbers of one accumulator; an operation uses one to three of them.
template <class A, class B = Nothing, class C = Nothing>
struct Numbers {
    A a;
    B b;
    C c;
};

// Copies of `COUNT` accumulators, which the compiler keeps in registers.
template <class State, int64_t COUNT>
class Block;

template <class A, class B, class C, int64_t COUNT>
class Block<Numbers<A, B, C>, COUNT> {
public:
    Numbers<A, B, C> operator[](int64_t i) const { return {a_[i], b_[i], c_[i]}; }
    void set(int64_t i, Numbers<A, B, C> state) {
        a_[i] = state.a;
        b_[i] = state.b;
        c_[i] = state.c;
    }

private:
    A a_[COUNT];
    B b_[COUNT];
    C c_[COUNT];
};

// Fetches the rows that are read next, in the order of the memory, while others are computed in another order: processors
// only fetch by themselves what is read in order.
class Ahead {
public:
    Ahead(const Rows &rows, int64_t size) : row_(rows.ahead), step_(rows.step), bytes_(rows.length * size) {}

    void fetch(int64_t bytes) {
        if (!row_) return;
        for (int64_t line = 0; line < bytes; line += 64) __builtin_prefetch(row_ + done_ + line, 0, 2);
        done_ += bytes;
        if (done_ < bytes_) return;
        done_ = 0;
        row_ += step_;
    }

private:
    const char *row_;
    const int64_t step_, bytes_;
    int64_t done_ = 0;
};

// Adds `COUNT` elements of each row, from element `first` on, with accumulators in registers.
template <class Element, int64_t COUNT, bool ADDS_FOUR, class States, class Function, class AddFour>
inline void add_strip(const Rows &rows, int64_t first, States states, Function function, AddFour add_four, Ahead &ahead) {
    typedef typename Element::Stored Stored;
    typedef typename Element::Value Value;
    constexpr int64_t SIZE = sizeof(Stored);
    Block<decltype(states.get(0)), COUNT> block;
    for (int64_t i = 0; i < COUNT; ++i) block.set(i, states.get(first + i));
    const char *__restrict data = rows.data + first * SIZE;
    const int64_t step = rows.step;
    Value values[FOUR][COUNT];  // of elements that are not read where they are used
    const auto convert = [&](int64_t j) {
        if constexpr (Element::CONVERTS_BLOCKS) Element::convert(data + j * step, values[j], COUNT);
    };
    const auto value = [&](int64_t j, int64_t i) {
        if constexpr (Element::CONVERTS_BLOCKS) return values[j][i];
        else return Element::read(load<Stored>(data + j * step + i * SIZE));
    };
    int64_t k = 0;
    for (; ADDS_FOUR && k + FOUR <= rows.count; k += FOUR, data += FOUR * step) {
        ahead.fetch(FOUR * COUNT * SIZE);
        for (int64_t j = 0; j < FOUR; ++j) convert(j);
        PLAIT_VECTORIZE
        for (int64_t i = 0; i < COUNT; ++i) {
            block.set(i, add_four(block[i], value(0, i), value(1, i), value(2, i), value(3, i), first + i, k));
        }
    }
    for (; k < rows.count; ++k, data += step) {
        ahead.fetch(COUNT * SIZE);
        convert(0);
        PLAIT_VECTORIZE
        for (int64_t i = 0; i < COUNT; ++i) block.set(i, function(block[i], value(0, i), first + i, k));
    }
    for (int64_t i = 0; i < COUNT; ++i) states.set(first + i, block[i]);
}

// Which rows are read in strips.
enum Strips { NO_ROWS, SHORT_ROWS, ALL_ROWS };

template <Strips STRIPS>
inline bool in_strips(const Rows &rows, int64_t size) {
    return rows.count >= FOUR && (STRIPS == ALL_ROWS || (STRIPS == SHORT_ROWS && !rows.are_apart(size)));
}

// For each accumulator `i` of rows: `state = states.get(i)`, then `state = function(state, value, i, k)` for its elements
// in the rows `k`, then `states.set(i, state)`, for `rows_at_once` rows after the other. Windows have one element.
// `add_four(state, values, i, k)` adds the elements of four rows from `k` on.
template <class Element, Strips STRIPS, bool ADDS_FOUR, class States, class Function, class AddFour>
inline void for_each_value(const Rows &rows, States states, Function function, AddFour add_four) {
    typedef typename Element::Stored Stored;
    constexpr int64_t SIZE = sizeof(Stored);
    const int64_t length = rows.length, stride = rows.stride, step = rows.step;
    int64_t first = 0, k = 0;
    if (stride != SIZE) {
        for (; k < rows.count; ++k) {
            const char *data = rows.data + k * step;
            for (int64_t i = 0; i < length; ++i) {
                states.set(i, function(states.get(i), Element::read(load<Stored>(data + i * stride)), i, k));
            }
        }
        return;
    }
    Ahead ahead(rows, SIZE);
    if (length == BLOCK) return add_strip<Element, BLOCK, ADDS_FOUR>(rows, 0, states, function, add_four, ahead);
    if (in_strips<STRIPS>(rows, SIZE)) {
        for (; first + STRIP <= length; first += STRIP) {
            add_strip<Element, STRIP, ADDS_FOUR>(rows, first, states, function, add_four, ahead);
        }
        if (first == length) return;
    }
    if constexpr (Element::CONVERTS_BLOCKS) {
        for (; k < rows.count; ++k) {
            for (int64_t start = first; start < length; start += BLOCK) {
                typename Element::Value values[BLOCK];
                const int64_t count = length - start < BLOCK ? length - start : BLOCK;
                Element::convert(rows.data + k * step + start * SIZE, values, count);
                PLAIT_VECTORIZE
                for (int64_t i = 0; i < count; ++i) {
                    states.set(start + i, function(states.get(start + i), values[i], start + i, k));
                }
            }
        }
        return;
    }
    const auto read = [](const char *address) { return Element::read(load<Stored>(address)); };
    if constexpr (STRIPS != ALL_ROWS) {
        for (const bool are_apart = rows.are_apart(SIZE); are_apart && k + FOUR <= rows.count; k += FOUR) {
            const char *__restrict one = rows.data + k * step;
            const char *__restrict two = one + step;
            const char *__restrict three = two + step;
            const char *__restrict four = three + step;
            PLAIT_VECTORIZE
            for (int64_t i = 0; i < length; ++i) {
                states.set(i, add_four(states.get(i), read(one + i * SIZE), read(two + i * SIZE), read(three + i * SIZE),
                                       read(four + i * SIZE), i, k));
            }
        }
    }
    for (; k < rows.count; ++k) {
        const char *__restrict data = rows.data + k * step;
        PLAIT_VECTORIZE
        for (int64_t i = first; i < length; ++i) states.set(i, function(states.get(i), read(data + i * SIZE), i, k));
    }
}

// Returns `state` after `state = function(state, j)` for each `j` below `COUNT`, without a loop, which would keep the
// compiler from vectorising the loop around it.
template <int COUNT, class State, class Function>
inline State repeat(State state, Function function) {
    if constexpr (COUNT > 0) return function(repeat<COUNT - 1>(state, function), COUNT - 1);
    return state;
}

// The same as `for_each_value` for windows of `WIDTH` elements.
template <class Element, int WIDTH, class States, class Function>
inline void for_each_window(const Rows &rows, States states, Function function) {
    typedef typename Element::Stored Stored;
    constexpr int64_t SIZE = sizeof(Stored);
    const int64_t length = rows.length, stride = rows.stride, step = rows.step;
    for (int64_t k = 0; k < rows.count; ++k) {
        const char *__restrict data = rows.data + k * step;
        if (stride == SIZE) {
            PLAIT_VECTORIZE
            for (int64_t i = 0; i < length; ++i) {
                states.set(i, repeat<WIDTH>(states.get(i), [=](auto state, int64_t j) {
                        return function(state, Element::read(load<Stored>(data + (i * WIDTH + j) * SIZE)), i, k);
                    }));
            }
            continue;
        }
        for (int64_t i = 0; i < length; ++i) {
            states.set(i, repeat<WIDTH>(states.get(i), [=](auto state, int64_t j) {
                    return function(state, Element::read(load<Stored>(data + (i * WIDTH + j) * stride)), i, k);
                }));
        }
    }
}

// The planes of accumulators with such numbers. With a pivot, the first number was found before, and does not change.
template <bool PIVOT, class A, class B = Nothing, class C = Nothing>
class PlanesOf {
public:
    static constexpr bool HAS_PIVOT = PIVOT;
    typedef Numbers<A, B, C> State;
    static constexpr bool HAS_B = !std::is_same<B, Nothing>::value, HAS_C = !std::is_same<C, Nothing>::value;
    static constexpr int SIZES[PLANES] = {sizeof(A), HAS_B ? sizeof(B) : 0, HAS_C ? sizeof(C) : 0};

    explicit PlanesOf(const Accumulators &accumulators)
        : a_(reinterpret_cast<A *>(accumulators.plane[0])),
          b_(reinterpret_cast<B *>(accumulators.plane[1])),
          c_(reinterpret_cast<C *>(accumulators.plane[2])) {}

    State operator[](int64_t i) const {
        State state;
        state.a = a_[i];
        if constexpr (HAS_B) state.b = b_[i];
        if constexpr (HAS_C) state.c = c_[i];
        return state;
    }
    // The state of an accumulator of no elements.
    State started(int64_t i, State state) const {
        if constexpr (HAS_PIVOT) state.a = a_[i];
        return state;
    }
    void set(int64_t i, State state) const {
        if constexpr (!HAS_PIVOT) a_[i] = state.a;
        if constexpr (HAS_B) b_[i] = state.b;
        if constexpr (HAS_C) c_[i] = state.c;
    }
    void set_pivot(int64_t i, A pivot) const { a_[i] = pivot; }

private:
    A *__restrict a_;
    B *__restrict b_;
    C *__restrict c_;
};

template <class A, class B = Nothing, class C = Nothing>
using Planes = PlanesOf<false, A, B, C>;

template <class A, class B = Nothing, class C = Nothing>
using PlanesWithPivot = PlanesOf<true, A, B, C>;

template <class T>
inline bool is_nan(T value) {
    return value != value;
}

template <class T>
constexpr T least() {
    return std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::lowest();
}

template <class T>
constexpr T greatest() {
    return std::numeric_limits<T>::has_infinity ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::max();
}

// The extremum of two values: the second one if it is better, or NaN. Compilers know the inner choice as an instruction.
template <bool MAX, class T>
inline T extremum(T value, T other) {
    const T better = (MAX ? other > value : other < value) ? other : value;
    return other != other ? other : better;
}

template <class ElementType, bool MAX>
struct Extremum {
    static constexpr bool USES_INDEX = false, TAKES_WINDOWS = true, ADDS_FOUR = false, HAS_FINAL_STATE = false;
    typedef ElementType Element;
    typedef typename Element::Value Value;
    typedef typename Element::Stored Result;
    typedef Numbers<Value> State;
    typedef Planes<Value> Memory;

    static State start() { return {MAX ? least<Value>() : greatest<Value>(), {}, {}}; }
    static State add(State state, Value value, int64_t) { return {extremum<MAX>(state.a, value), {}, {}}; }
    static State join(State state, State other) { return {extremum<MAX>(state.a, other.a), {}, {}}; }
    static Result result(State state, double) { return Element::write(state.a); }
};

// The value, and the index at which it is first in row-major order; the first NaN, if there is one.
template <class ElementType, bool MAX>
struct IndexOfExtremum {
    static constexpr bool USES_INDEX = true, TAKES_WINDOWS = false, ADDS_FOUR = false, HAS_FINAL_STATE = false;
    typedef ElementType Element;
    typedef typename Element::Value Value;
    typedef int64_t Result;
    typedef Numbers<Value, int64_t> State;
    typedef Planes<Value, int64_t> Memory;

    static State start() {
        return {MAX ? least<Value>() : greatest<Value>(), std::numeric_limits<int64_t>::max(), {}};
    }
    static State join(State state, State other) {
        const bool nan = is_nan(state.a), other_nan = is_nan(other.a);
        const bool better = (MAX ? other.a > state.a : other.a < state.a) & !nan;
        const bool equal = (other.a == state.a) | (other_nan & nan);
        const bool found = better | (other_nan & !nan) | (equal & (other.b < state.b));
        return {found ? other.a : state.a, found ? other.b : state.b, {}};
    }
    static State add(State state, Value value, int64_t index) { return join(state, {value, index, {}}); }
    static Result result(State state, double) { return state.b; }
};

// Sums whose accumulators are wide enough: of integers, and of floats in double precision.
template <class ElementType, class Total, bool MEAN>
struct Sum {
    static constexpr bool IS_NARROW = !std::is_same<typename ElementType::Stored, typename ElementType::Value>::value;
    static constexpr bool USES_INDEX = false, TAKES_WINDOWS = true, ADDS_FOUR = IS_NARROW, HAS_FINAL_STATE = false;
    typedef ElementType Element;
    typedef typename Element::Value Value;
    static constexpr bool IS_INTEGER = std::numeric_limits<Total>::is_integer;
    typedef typename std::conditional<IS_INTEGER, Total, typename Element::Stored>::type Result;
    typedef Numbers<Total> State;
    typedef Planes<Total> Memory;

    static State start() { return {0, {}, {}}; }
    static State add(State state, Value value, int64_t) { return {state.a + static_cast<Total>(value), {}, {}}; }
    static State add_four(State state, Value one, Value two, Value three, Value four) {
        return add(state, (one + two) + (three + four), 0);
    }
    static State join(State state, State other) { return {state.a + other.a, {}, {}}; }
    static Result result(State state, double elements) {
        if constexpr (IS_INTEGER) return state.a;
        else return Element::write(static_cast<Value>(MEAN ? state.a * (1.0 / elements) : state.a));
    }
};

// Sums of double precision, which no type is wider than: the rounding errors are summed as well.
template <bool MEAN>
struct CompensatedSum {
    static constexpr bool USES_INDEX = false, TAKES_WINDOWS = false, ADDS_FOUR = false, HAS_FINAL_STATE = false;
    typedef Plain<double> Element;
    typedef double Value;
    typedef double Result;
    typedef Numbers<double, double> State;
    typedef Planes<double, double> Memory;

    static State start() { return {0.0, 0.0, {}}; }
    static State add(State state, Value value, int64_t) {
        const double sum = state.a + value, added = sum - state.a;
        return {sum, state.b + ((state.a - (sum - added)) + (value - added)), {}};
    }
    static State join(State state, State other) {
        state = add(state, other.a, 0);
        return {state.a, state.b + other.b, {}};
    }
    static Result result(State state, double elements) {
        const double sum = state.b - state.b == 0 ? state.a + state.b : state.a;  // of infinities the error is NaN
        return MEAN ? sum / elements : sum;
    }
};

template <class ElementType, class Total>
struct Product {
    static constexpr bool USES_INDEX = false, TAKES_WINDOWS = false, ADDS_FOUR = false, HAS_FINAL_STATE = false;
    typedef ElementType Element;
    typedef typename Element::Value Value;
    static constexpr bool IS_INTEGER = std::numeric_limits<Total>::is_integer;
    typedef typename std::conditional<IS_INTEGER, Total, typename Element::Stored>::type Result;
    typedef Numbers<Total> State;
    typedef Planes<Total> Memory;

    static State start() { return {1, {}, {}}; }
    static State add(State state, Value value, int64_t) { return {state.a * static_cast<Total>(value), {}, {}}; }
    static State join(State state, State other) { return {state.a * other.a, {}, {}}; }
    static Result result(State state, double) {
        if constexpr (IS_INTEGER) return state.a;
        else return Element::write(static_cast<Value>(state.a));
    }
};

template <class T>
struct ComplexProduct {
    static constexpr bool USES_INDEX = false, TAKES_WINDOWS = false, ADDS_FOUR = false, HAS_FINAL_STATE = false;
    typedef Plain<Complex<T>> Element;
    typedef Complex<T> Value;
    typedef Complex<T> Result;
    typedef Numbers<double, double> State;
    typedef Planes<double, double> Memory;

    static State start() { return {1.0, 0.0, {}}; }
    static State join(State state, State other) {
        return {state.a * other.a - state.b * other.b, state.a * other.b + state.b * other.a, {}};
    }
    static State add(State state, Value value, int64_t) { return join(state, {value.real, value.imaginary, {}}); }
    static Result result(State state, double) { return {static_cast<T>(state.a), static_cast<T>(state.b)}; }
};

template <class T>
inline uint8_t is_true(T value) {
    return value != T(0);
}
template <class T>
inline uint8_t is_true(Complex<T> value) {
    return (value.real != 0) | (value.imaginary != 0);
}

template <class ElementType, bool ANY>
struct Truth {
    static constexpr bool USES_INDEX = false, TAKES_WINDOWS = false, ADDS_FOUR = false, HAS_FINAL_STATE = true;
    typedef ElementType Element;
    typedef typename Element::Value Value;
    typedef uint8_t Result;
    typedef Numbers<uint8_t> State;
    typedef Planes<uint8_t> Memory;

    static State start() { return {ANY ? uint8_t(0) : uint8_t(1), {}, {}}; }
    static State join(State state, State other) {
        return {static_cast<uint8_t>(ANY ? state.a | other.a : state.a & other.a), {}, {}};
    }
    static State add(State state, Value value, int64_t) { return join(state, {is_true(value), {}, {}}); }
    static bool is_final(State state) { return state.a == uint8_t(ANY); }
    static Result result(State state, double) { return state.a; }
};

// The sums of the distances to a pivot near the mean (b) and of their squares (c). In double precision the pivot may be
// any mixture of elements: the relative error is at most about the number of elements times 1e-16.
template <class ElementType, bool ROOT>
struct Variance {
    static constexpr bool USES_INDEX = false, TAKES_WINDOWS = false, ADDS_FOUR = false, HAS_FINAL_STATE = false;
    typedef ElementType Element;
    typedef typename Element::Value Value;
    typedef typename Element::Stored Result;
    typedef Numbers<double, double, double> State;
    typedef PlanesWithPivot<double, double, double> Memory;
    typedef Sum<Element, double, true> Pivot;
    static constexpr bool PIVOT_IS_APPROXIMATE = true;

    // A product by the reciprocal is faster, and accurate enough where the result is rounded to fewer bits.
    static double mean(double sum, double elements) {
        return sizeof(Value) < sizeof(double) ? sum * (1.0 / elements) : sum / elements;
    }
    static double make_pivot(double sum, double elements) { return mean(sum, elements); }
    static State start() { return {0.0, 0.0, 0.0}; }
    static State add(State state, Value value, int64_t) {
        const double distance = value - state.a;
        return {state.a, state.b + distance, state.c + distance * distance};
    }
    static State join(State state, State other) { return {state.a, state.b + other.b, state.c + other.c}; }
    static State combine(State state, State other, double other_elements) {
        const double shift = other.a - state.a;
        return {state.a, state.b + other.b + other_elements * shift,
                state.c + other.c + shift * (2.0 * other.b + other_elements * shift)};
    }
    static Result result(State state, double elements) {
        const double shift = mean(state.b, elements), variance = mean(state.c, elements) - shift * shift;
        const double positive = variance < 0.0 ? 0.0 : variance;
        return Element::write(static_cast<Value>(ROOT ? __builtin_sqrt(positive) : positive));
    }
};

// The pivot is the greatest element. The sum of the exponentials of the distances of the lesser ones to it (b) is apart
// from how many are equal to it (c), since it may be lost in the sum of both.
template <class ElementType>
struct LogSumExp {
    static constexpr bool USES_INDEX = false, TAKES_WINDOWS = false, ADDS_FOUR = true, HAS_FINAL_STATE = false;
    typedef ElementType Element;
    typedef typename Element::Value Value;
    typedef typename Element::Stored Result;
    typedef Numbers<Value, double, Value> State;
    typedef PlanesWithPivot<Value, double, Value> Memory;
    typedef Extremum<Element, true> Pivot;
    static constexpr bool PIVOT_IS_APPROXIMATE = false;

    static Value make_pivot(Value greatest, double) { return greatest; }
    static State start() { return {0, 0.0, 0}; }
    static Value term(State state, Value value) { return exponential_below_zero(value - state.a); }
    static Value is_pivot(State state, Value value) { return value == state.a ? Value(1) : Value(0); }
    static State add(State state, Value value, int64_t) {
        return {state.a, state.b + term(state, value), state.c + is_pivot(state, value)};
    }
    static State add_four(State state, Value one, Value two, Value three, Value four) {
        return {state.a, state.b + ((term(state, one) + term(state, two)) + (term(state, three) + term(state, four))),
                state.c + ((is_pivot(state, one) + is_pivot(state, two)) + (is_pivot(state, three) + is_pivot(state, four)))};
    }
    static State join(State state, State other) { return {state.a, state.b + other.b, state.c + other.c}; }
    static State combine(State state, State other, double) {
        const Value greatest = extremum<true>(state.a, other.a);
        const bool is_first = state.a == greatest, is_second = other.a == greatest;
        const double first = is_first ? state.b : (state.b + state.c) * exponential(state.a - greatest);
        const double second = is_second ? other.b : (other.b + other.c) * exponential(other.a - greatest);
        return {greatest, first + second, (is_first ? state.c : Value(0)) + (is_second ? other.c : Value(0))};
    }
    static Result result(State state, double) {
        const double finite = state.a + logarithm_of_sum(state.c, state.b);
        const bool is_finite = state.a - state.a == 0;
        return Element::write(is_finite ? static_cast<Value>(finite) : state.a);
    }
};

template <class ElementType>
struct Softmax : LogSumExp<ElementType> {
    typedef LogSumExp<ElementType> Base;
    static typename Base::Value of_element(typename Base::State state, typename Base::Value value) {
        const double term = value == state.a ? 1.0 : static_cast<double>(exponential(value - state.a));
        const bool is_finite = state.a - state.a == 0;
        return is_finite ? static_cast<typename Base::Value>(term / (state.b + state.c)) : state.a - state.a;
    }
};

template <class ElementType>
struct LogSoftmax : LogSumExp<ElementType> {
    typedef LogSumExp<ElementType> Base;
    static typename Base::Value of_element(typename Base::State state, typename Base::Value value) {
        const double distance = static_cast<double>(value) - state.a;
        return static_cast<typename Base::Value>(distance - logarithm_of_sum(state.c, state.b));
    }
};

// The accumulators of a reduction, of which those that are `NEW` have no elements yet.
template <class Reduction, bool NEW>
class States {
public:
    typedef typename Reduction::State State;

    explicit States(const Accumulators &accumulators) : memory_(accumulators) {}

    State get(int64_t i) const {
        if constexpr (NEW) return memory_.started(i, Reduction::start());
        else return memory_[i];
    }
    void set(int64_t i, State state) const { memory_.set(i, state); }

private:
    typename Reduction::Memory memory_;
};

// The functions of an `Operation` for a reduction.
template <class Reduction>
struct Loops {
    typedef typename Reduction::Element Element;
    typedef typename Reduction::Memory Memory;
    typedef typename Reduction::State State;
    typedef typename Reduction::Result Result;
    typedef typename Element::Value Value;
    // Accumulators that are larger than elements would take longer to load and to store than these.
    static constexpr bool ARE_WIDE = Memory::SIZES[0] > static_cast<int>(sizeof(typename Element::Stored));
    static constexpr Strips STRIPS = Memory::HAS_PIVOT ? ALL_ROWS : ARE_WIDE ? SHORT_ROWS : NO_ROWS;

    static void start(const Accumulators &accumulators, int64_t count) {
        const Memory memory(accumulators);
        for (int64_t i = 0; i < count; ++i) memory.set(i, Reduction::start());
    }
    template <bool NEW>
    static void add_to(const Accumulators &accumulators, const Rows &rows) {
        const States<Reduction, NEW> states(accumulators);
        const int64_t *__restrict offsets = rows.offsets;
        const int64_t index = rows.index, step_weight = rows.step_weight;
        const auto function = [=](State state, Value value, int64_t i, int64_t k) {
            if constexpr (Reduction::USES_INDEX) {
                return Reduction::add(state, value, index + offsets[i] + k * step_weight);
            } else {
                return Reduction::add(state, value, 0);
            }
        };
        if constexpr (Reduction::TAKES_WINDOWS) {
            if (rows.width == 2) return for_each_window<Element, 2>(rows, states, function);
            if (rows.width == 3) return for_each_window<Element, 3>(rows, states, function);
            if (rows.width == 4) return for_each_window<Element, 4>(rows, states, function);
        }
        for_each_value<Element, STRIPS, Reduction::ADDS_FOUR>(
            rows, states, function,
            [=](State state, Value one, Value two, Value three, Value four, int64_t i, int64_t k) {
                if constexpr (Reduction::ADDS_FOUR) {
                    return Reduction::add_four(state, one, two, three, four);
                } else {
                    return function(function(function(function(state, one, i, k), two, i, k + 1), three, i, k + 2), four,
                                    i, k + 3);
                }
            });
    }
    static void add(const Accumulators &accumulators, const Rows &rows) { add_to<false>(accumulators, rows); }
    // How many rows are added to an accumulator that is loaded and stored once.
    static int64_t rows_at_once(const Rows &rows) {
        constexpr int64_t SIZE = sizeof(typename Element::Stored);
        if (rows.width > 1 || rows.stride != SIZE) return 1;
        if (rows.length == BLOCK) return rows.count;
        if (rows.count < FOUR) return 1;
        if (in_strips<STRIPS>(rows, SIZE)) return rows.length % STRIP ? 1 : rows.count;
        return rows.are_apart(SIZE) && !Element::CONVERTS_BLOCKS ? FOUR : 1;
    }
    static void set(const Accumulators &accumulators, const Rows &rows) {
        Rows first = rows, others = rows;
        first.count = rows_at_once(rows);
        add_to<true>(accumulators, first);
        others.count -= first.count;
        if (others.count == 0) return;
        others.data += first.count * rows.step;
        others.index += first.count * rows.step_weight;
        add(accumulators, others);
    }
    static void merge(const Accumulators &accumulators, const Accumulators &others, int64_t count) {
        const Memory memory(accumulators), other(others);
        PLAIT_VECTORIZE
        for (int64_t i = 0; i < count; ++i) memory.set(i, Reduction::join(memory[i], other[i]));
    }
    static void join(const Accumulators &accumulators, int64_t outer, int64_t width, int64_t inner) {
        const Memory memory(accumulators);
        join_middle(
            outer, width, inner, [=](int64_t i) { return memory[i]; },
            [](State state, State other) { return Reduction::join(state, other); },
            [=](int64_t i, State state) { memory.set(i, state); });
    }
    static bool is_final(const Accumulators &accumulators, int64_t count) {
        if constexpr (Reduction::HAS_FINAL_STATE) {
            const Memory memory(accumulators);
            for (int64_t i = 0; i < count; ++i) {
                if (Reduction::is_final(memory[i])) return true;
            }
        }
        return false;
    }
    static void write(const Accumulators &accumulators, int64_t count, double elements, char *out, int64_t stride) {
        const Memory memory(accumulators);
        constexpr int64_t SIZE = sizeof(Result);
        if (stride == SIZE) {
            PLAIT_VECTORIZE
            for (int64_t i = 0; i < count; ++i) {
                const Result result = Reduction::result(memory[i], elements);
                std::memcpy(out + i * SIZE, &result, SIZE);
            }
            return;
        }
        for (int64_t i = 0; i < count; ++i) {
            const Result result = Reduction::result(memory[i], elements);
            std::memcpy(out + i * stride, &result, SIZE);
        }
    }

    static constexpr Pass pass() { return {start, add, set, join}; }
    static constexpr Operation operation() {
        Operation operation{};
        for (int i = 0; i < PLANES; ++i) operation.sizes[i] = Memory::SIZES[i];
        operation.in_size = sizeof(typename Element::Stored);
        operation.out_size = sizeof(Result);
        operation.max_width = Reduction::TAKES_WINDOWS ? 4 : 1;
        operation.reads_in_strips = STRIPS != NO_ROWS;
        operation.pass = pass();
        operation.merge = merge;
        operation.is_final = Reduction::HAS_FINAL_STATE ? is_final : nullptr;
        operation.write = write;
        return operation;
    }
};

// The functions of an `Operation` for a reduction with a pivot.
template <class Reduction>
struct LoopsWithPivot : Loops<Reduction> {
    typedef typename Reduction::Memory Memory;

    static void make_pivots(const Accumulators &accumulators, int64_t count, double elements) {
        const Memory memory(accumulators);
        for (int64_t i = 0; i < count; ++i) memory.set_pivot(i, Reduction::make_pivot(memory[i].a, elements));
    }
    static void combine(const Accumulators &accumulators, const Accumulators &others, int64_t count, double other_elements) {
        const Memory memory(accumulators), other(others);
        PLAIT_VECTORIZE
        for (int64_t i = 0; i < count; ++i) {
            const typename Reduction::State state = Reduction::combine(memory[i], other[i], other_elements);
            memory.set_pivot(i, state.a);
            memory.set(i, state);
        }
    }

    static constexpr Operation operation() {
        Operation operation = Loops<Reduction>::operation();
        operation.pivot_pass = Loops<typename Reduction::Pivot>::pass();
        operation.pivot_is_approximate = Reduction::PIVOT_IS_APPROXIMATE;
        operation.make_pivots = make_pivots;
        operation.combine = combine;
        operation.merge = nullptr;
        return operation;
    }
};

// The functions of an `Operation` whose result has every element.
template <class Reduction>
struct LoopsOfSoftmax : LoopsWithPivot<Reduction> {
    static void write_rows(const Accumulators &accumulators, const Rows &rows) {
        typedef typename Reduction::Element Element;
        typedef typename Element::Stored Stored;
        constexpr int64_t SIZE = sizeof(Stored);
        const typename Reduction::Memory memory(accumulators);
        const int64_t length = rows.length;
        for (int64_t k = 0; k < rows.count; ++k) {
            const char *__restrict data = rows.data + k * rows.step;
            char *__restrict out = rows.out + k * rows.out_step;
            if (rows.stride == SIZE && rows.out_stride == SIZE) {
                PLAIT_VECTORIZE
                for (int64_t i = 0; i < length; ++i) {
                    const auto value = Element::read(load<Stored>(data + i * SIZE));
                    const Stored result = Element::write(Reduction::of_element(memory[i], value));
                    std::memcpy(out + i * SIZE, &result, SIZE);
                }
                continue;
            }
            for (int64_t i = 0; i < length; ++i) {
                const auto value = Element::read(load<Stored>(data + i * rows.stride));
                const Stored result = Element::write(Reduction::of_element(memory[i], value));
                std::memcpy(out + i * rows.out_stride, &result, SIZE);
            }
        }
    }

    static constexpr Operation softmax() {
        Operation operation = LoopsWithPivot<Reduction>::operation();
        operation.write_rows = write_rows;
        return operation;
    }
};

template <class Reduction>
const Operation *one_pass() {
    static constexpr Operation operation = Loops<Reduction>::operation();
    return &operation;
}

template <class Reduction>
const Operation *two_pass() {
    static constexpr Operation operation = LoopsWithPivot<Reduction>::operation();
    return &operation;
}

template <class Reduction>
const Operation *softmax() {
    static constexpr Operation operation = LoopsOfSoftmax<Reduction>::softmax();
    return &operation;
}

template <class Element>
const Operation *find_for_any_element(int operation) {
    switch (operation) {
        case PLAIT_ANY: return one_pass<Truth<Element, true>>();
        case PLAIT_ALL: return one_pass<Truth<Element, false>>();
        default: return nullptr;
    }
}

template <class Element>
const Operation *find_for_real(int operation) {
    switch (operation) {
        case PLAIT_MIN: return one_pass<Extremum<Element, false>>();
        case PLAIT_MAX: return one_pass<Extremum<Element, true>>();
        case PLAIT_ARGMIN: return one_pass<IndexOfExtremum<Element, false>>();
        case PLAIT_ARGMAX: return one_pass<IndexOfExtremum<Element, true>>();
        default: return find_for_any_element<Element>(operation);
    }
}

// Sums and products may overflow; they wrap around, as unsigned numbers do.
template <class T>
const Operation *find_for_integer(int operation) {
    typedef Plain<T> Element;
    switch (operation) {
        case PLAIT_SUM: return one_pass<Sum<Element, uint64_t, false>>();
        case PLAIT_PROD: return one_pass<Product<Element, uint64_t>>();
        default: return find_for_real<Element>(operation);
    }
}

template <class Element>
const Operation *find_for_statistics(int operation) {
    switch (operation) {
        case PLAIT_VAR: return two_pass<Variance<Element, false>>();
        case PLAIT_STD: return two_pass<Variance<Element, true>>();
        case PLAIT_LOGSUMEXP: return two_pass<LogSumExp<Element>>();
        case PLAIT_SOFTMAX: return softmax<Softmax<Element>>();
        case PLAIT_LOG_SOFTMAX: return softmax<LogSoftmax<Element>>();
        case PLAIT_PROD: return one_pass<Product<Element, double>>();
        default: return find_for_real<Element>(operation);
    }
}

template <class Element>
const Operation *find_for_float(int operation) {
    switch (operation) {
        case PLAIT_SUM: return one_pass<Sum<Element, double, false>>();
        case PLAIT_MEAN: return one_pass<Sum<Element, double, true>>();
        default: return find_for_statistics<Element>(operation);
    }
}

const Operation *find_for_double(int operation) {
    switch (operation) {
        case PLAIT_SUM: return one_pass<CompensatedSum<false>>();
        case PLAIT_MEAN: return one_pass<CompensatedSum<true>>();
        default: return find_for_statistics<Plain<double>>(operation);
    }
}

// Sums of complex numbers are sums of their parts, which the caller lays out as one more dimension.
template <class T>
const Operation *find_for_complex(int operation) {
    switch (operation) {
        case PLAIT_PROD: return one_pass<ComplexProduct<T>>();
        default: return find_for_any_element<Plain<Complex<T>>>(operation);
    }
}

const Operation *find_for_date(int operation) {
    switch (operation) {
        case PLAIT_MIN: return one_pass<Extremum<Plain<int64_t>, false>>();
        case PLAIT_MAX: return one_pass<Extremum<LatestDate, true>>();
        default: return nullptr;
    }
}

}  // namespace

const Operation *find_operation(int operation, int element) {
    switch (element) {
        case PLAIT_BOOL: return find_for_integer<uint8_t>(operation);
        case PLAIT_INT8: return find_for_integer<int8_t>(operation);
        case PLAIT_INT16: return find_for_integer<int16_t>(operation);
        case PLAIT_INT32: return find_for_integer<int32_t>(operation);
        case PLAIT_INT64: return find_for_integer<int64_t>(operation);
        case PLAIT_UINT8: return find_for_integer<uint8_t>(operation);
        case PLAIT_UINT16: return find_for_integer<uint16_t>(operation);
        case PLAIT_UINT32: return find_for_integer<uint32_t>(operation);
        case PLAIT_UINT64: return find_for_integer<uint64_t>(operation);
        case PLAIT_FLOAT16: return find_for_float<Half>(operation);
        case PLAIT_BFLOAT16: return find_for_float<BFloat>(operation);
        case PLAIT_FLOAT32: return find_for_float<Plain<float>>(operation);
        case PLAIT_FLOAT64: return find_for_double(operation);
        case PLAIT_COMPLEX64: return find_for_complex<float>(operation);
        case PLAIT_COMPLEX128: return find_for_complex<double>(operation);
        case PLAIT_DATETIME: return find_for_date(operation);
        default: return nullptr;
    }
}

}  // namespace PLAIT_INSTRUCTION_SET
}  // namespace plait
