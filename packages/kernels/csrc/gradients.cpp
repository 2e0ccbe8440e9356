// The gradients of reductions, by element type. Compiled once for each instruction set, like the reductions.
#include <limits>
#include <type_traits>

#include "elements.hpp"
#include "join.hpp"
#include "operation.hpp"
#include "plait_kernels.h"
#include "vectorize.hpp"

namespace plait {
namespace PLAIT_INSTRUCTION_SET {
namespace {

template <class Stored>
inline Stored load(const char *address) {
    Stored stored;
    std::memcpy(&stored, address, sizeof stored);
    return stored;
}

template <class T>
constexpr int size_of() {
    return std::is_same<T, Nothing>::value ? 0 : static_cast<int>(sizeof(T));
}

// A gradient has up to two numbers for each result, a and b, from which and from an element the gradient of the element
// is computed, and one that is summed over the elements first, for which 0 is not always the start.

// The gradient of a mean: every element has the same share.
template <class ElementType>
struct MeanGradient {
    typedef ElementType Element;
    typedef typename Element::Value Value;
    typedef Value A;
    typedef Nothing B;
    typedef Nothing Sum;
    static constexpr bool USES_SOURCE = false, USES_RESULT = false;

    static void load(A &a, B &, Value, Value gradient, double elements) { a = gradient / static_cast<Value>(elements); }
    static Value of_element(A a, B, Value) { return a; }
};

// The gradient of a minimum or maximum: the elements that are equal to it have equal shares.
template <class ElementType>
struct ExtremumGradient {
    typedef ElementType Element;
    typedef typename Element::Value Value;
    typedef Value A;
    typedef Value B;
    typedef typename std::conditional<sizeof(Value) == 8, uint64_t, uint32_t>::type Sum;
    static constexpr bool USES_SOURCE = true, USES_RESULT = true, SUM_USES_A = true;

    static void load(A &a, B &b, Value result, Value gradient, double) { a = result, b = gradient; }
    static Sum start() { return 0; }
    static Sum add(A a, Sum count, Value value) { return count + (value == a ? 1 : 0); }
    static Sum join(Sum count, Sum more) { return count + more; }
    // the number of equal elements is rounded to the element type, as in PyTorch
    static void finish(A &, B &b, Sum count, double) { b = b / Element::read(Element::write(static_cast<Value>(count))); }
    // a product by 0, as in PyTorch: it has the sign of the gradient, and is NaN if that is
    static Value of_element(A a, B b, Value value) { return value == a ? b : b * Value(0); }
};

// The gradient of a variance: the distances to the mean, times a factor.
template <class ElementType, bool ROOT>
struct VarianceGradient {
    typedef ElementType Element;
    typedef typename Element::Value Value;
    typedef double A;
    typedef double B;
    typedef double Sum;
    static constexpr bool USES_SOURCE = true, USES_RESULT = ROOT, SUM_USES_A = false;

    static void load(A &, B &b, Value result, Value gradient, double elements) {
        const double factor = gradient / elements;
        if constexpr (ROOT) b = result == 0 ? 0.0 : factor / result;
        else b = 2.0 * factor;
    }
    static Sum start() { return 0.0; }
    static Sum add(A, Sum sum, Value value) { return sum + value; }
    static Sum join(Sum sum, Sum more) { return sum + more; }
    static void finish(A &a, B &, Sum sum, double elements) { a = sum / elements; }
    static Value of_element(A a, B b, Value value) { return static_cast<Value>((value - a) * b); }
};

// The product of the elements that are not 0, and how many are.
struct Factors {
    double product, zeros;
};

// The gradient of a product: the product of the other elements. It is a quotient unless an element is 0.
template <class ElementType>
struct ProductGradient {
    typedef ElementType Element;
    typedef typename Element::Value Value;
    typedef double A;
    typedef Value B;
    typedef Factors Sum;
    static constexpr bool USES_SOURCE = true, USES_RESULT = false, SUM_USES_A = false;

    static void load(A &, B &b, Value, Value gradient, double) { b = gradient; }
    static Sum start() { return {1.0, 0.0}; }
    static Sum add(A, Sum sum, Value value) {
        return {sum.product * (value == 0 ? Value(1) : value), sum.zeros + (value == 0 ? Value(1) : Value(0))};
    }
    static Sum join(Sum sum, Sum more) { return {sum.product * more.product, sum.zeros + more.zeros}; }
    // the elements that are not 0 are divided by, or multiplied by 0
    static void finish(A &a, B &b, Sum sum, double) {
        a = sum.product * b * (sum.zeros > 1 ? 0.0 : 1.0);
        b = sum.zeros > 0 ? Value(1) : Value(0);
    }
    static Value of_element(A a, B has_zero, Value value) {
        return static_cast<Value>(value == 0 ? a : has_zero == 0 ? a / value : a * 0.0);
    }
};

// The gradient of a logarithm of a sum of exponentials: the exponentials of the distances to it.
template <class ElementType>
struct LogSumExpGradient {
    typedef ElementType Element;
    typedef typename Element::Value Value;
    typedef Value A;
    typedef Value B;
    typedef Nothing Sum;
    static constexpr bool USES_SOURCE = true, USES_RESULT = true;

    static void load(A &a, B &b, Value result, Value gradient, double) { a = result, b = gradient; }
    static Value of_element(A a, B b, Value value) {
        const Value distance = value - a;
        return (distance != distance ? distance : exponential(distance)) * b;
    }
};

template <class T>
void repeat(T *__restrict to, const T *__restrict from, int64_t outer, int64_t width, int64_t inner) {
    if (inner == 1 && width == 2) {
        PLAIT_VECTORIZE
        for (int64_t i = 0; i < outer; ++i) to[2 * i] = to[2 * i + 1] = from[i];
    } else if (inner == 1 && width == 4) {
        PLAIT_VECTORIZE
        for (int64_t i = 0; i < outer; ++i) to[4 * i] = to[4 * i + 1] = to[4 * i + 2] = to[4 * i + 3] = from[i];
    } else if (inner == 1) {
        for (int64_t i = 0; i < outer; ++i) {
            for (int64_t k = 0; k < width; ++k) to[i * width + k] = from[i];
        }
    } else {
        for (int64_t i = 0; i < outer; ++i) {
            for (int64_t k = 0; k < width; ++k) {
                for (int64_t j = 0; j < inner; ++j) to[(i * width + k) * inner + j] = from[i * inner + j];
            }
        }
    }
}

void repeat(int size, char *to, const char *from, int64_t outer, int64_t width, int64_t inner) {
    if (size == 4) repeat(reinterpret_cast<uint32_t *>(to), reinterpret_cast<const uint32_t *>(from), outer, width, inner);
    else repeat(reinterpret_cast<uint64_t *>(to), reinterpret_cast<const uint64_t *>(from), outer, width, inner);
}

// The functions of an `Operation` for a gradient.
template <class Gradient>
struct LoopsOfGradient {
    typedef typename Gradient::Element Element;
    typedef typename Element::Stored Stored;
    typedef typename Element::Value Value;
    typedef typename Gradient::A A;
    typedef typename Gradient::B B;
    typedef typename Gradient::Sum Sum;
    static constexpr int64_t SIZE = sizeof(Stored);
    static constexpr bool HAS_SUM = !std::is_same<Sum, Nothing>::value;

    static A *a_of(const Accumulators &accumulators) { return reinterpret_cast<A *>(accumulators.plane[0]); }
    static B *b_of(const Accumulators &accumulators) { return reinterpret_cast<B *>(accumulators.plane[1]); }
    static Sum *sum_of(const Accumulators &accumulators) { return reinterpret_cast<Sum *>(accumulators.plane[2]); }

    // A number that is not used is not read: there may be none.
    static B number_of(const B *b, int64_t i) {
        if constexpr (std::is_same<B, Nothing>::value) return {};
        else return b[i];
    }
    static Value element_at(const char *address) {
        if constexpr (Gradient::USES_SOURCE) return Element::read(load_stored(address));
        else return {};
    }
    static Stored load_stored(const char *address) { return plait::PLAIT_INSTRUCTION_SET::load<Stored>(address); }

    static void load(const Accumulators &accumulators, int64_t count, double elements, Operand result, Operand gradient) {
        A *__restrict a = a_of(accumulators);
        B *__restrict b = b_of(accumulators);
        const auto load_one = [=](int64_t i, int64_t result_stride, int64_t gradient_stride) {
            Value value{};
            if constexpr (Gradient::USES_RESULT) value = Element::read(load_stored(result.data + i * result_stride));
            A first{};
            B second{};
            Gradient::load(first, second, value, Element::read(load_stored(gradient.data + i * gradient_stride)), elements);
            a[i] = first;
            if constexpr (!std::is_same<B, Nothing>::value) b[i] = second;
        };
        if (gradient.stride == SIZE && (result.stride == SIZE || !Gradient::USES_RESULT)) {
            PLAIT_VECTORIZE
            for (int64_t i = 0; i < count; ++i) load_one(i, SIZE, SIZE);
            return;
        }
        for (int64_t i = 0; i < count; ++i) load_one(i, result.stride, gradient.stride);
    }
    static void start_sums(const Accumulators &accumulators, int64_t count) {
        Sum *sums = sum_of(accumulators);
        for (int64_t i = 0; i < count; ++i) sums[i] = Gradient::start();
    }
    static void add(const Accumulators &accumulators, const Rows &rows) {
        const A *__restrict a = a_of(accumulators);
        Sum *__restrict sums = sum_of(accumulators);
        const int64_t length = rows.length, stride = rows.stride;
        for (int64_t k = 0; k < rows.count; ++k) {
            const char *__restrict data = rows.data + k * rows.step;
            const auto add_one = [=](int64_t i, int64_t bytes) {
                A number{};
                if constexpr (Gradient::SUM_USES_A) number = a[i];
                sums[i] = Gradient::add(number, sums[i], element_at(data + i * bytes));
            };
            if (stride == SIZE) {
                PLAIT_VECTORIZE
                for (int64_t i = 0; i < length; ++i) add_one(i, SIZE);
            } else {
                for (int64_t i = 0; i < length; ++i) add_one(i, stride);
            }
        }
    }
    static void merge(const Accumulators &accumulators, const Accumulators &others, int64_t count) {
        Sum *__restrict sums = sum_of(accumulators);
        const Sum *__restrict more = sum_of(others);
        for (int64_t i = 0; i < count; ++i) sums[i] = Gradient::join(sums[i], more[i]);
    }
    static void join(const Accumulators &accumulators, int64_t outer, int64_t width, int64_t inner) {
        Sum *__restrict sums = sum_of(accumulators);
        join_middle(
            outer, width, inner, [=](int64_t i) { return sums[i]; }, Gradient::join,
            [=](int64_t i, Sum sum) { sums[i] = sum; });
    }
    static void finish(const Accumulators &accumulators, int64_t count, double elements) {
        A *__restrict a = a_of(accumulators);
        B *__restrict b = b_of(accumulators);
        const Sum *__restrict sums = sum_of(accumulators);
        PLAIT_VECTORIZE
        for (int64_t i = 0; i < count; ++i) {
            A first = a[i];
            B second = b[i];
            Gradient::finish(first, second, sums[i], elements);
            a[i] = first;
            b[i] = second;
        }
    }
    static void write_rows(const Accumulators &accumulators, const Rows &rows) {
        const A *__restrict a = a_of(accumulators);
        const B *__restrict b = b_of(accumulators);
        const int64_t length = rows.length, stride = rows.stride, out_stride = rows.out_stride;
        for (int64_t k = 0; k < rows.count; ++k) {
            const char *__restrict data = rows.data + k * rows.step;
            char *__restrict out = rows.out + k * rows.out_step;
            const auto write_one = [=](int64_t i, int64_t bytes, int64_t out_bytes) {
                const Value value = element_at(data + i * bytes);
                const Stored result = Element::write(Gradient::of_element(a[i], number_of(b, i), value));
                std::memcpy(out + i * out_bytes, &result, SIZE);
            };
            if (stride == SIZE && out_stride == SIZE) {
                PLAIT_VECTORIZE
                for (int64_t i = 0; i < length; ++i) write_one(i, SIZE, SIZE);
            } else {
                for (int64_t i = 0; i < length; ++i) write_one(i, stride, out_stride);
            }
        }
    }

    static constexpr Operation operation() {
        Operation operation{};
        operation.sizes[0] = size_of<A>();
        operation.sizes[1] = size_of<B>();
        operation.sizes[2] = size_of<Sum>();
        operation.in_size = operation.out_size = SIZE;
        operation.max_width = 1;
        operation.load = load;
        operation.repeat = repeat;
        operation.uses_source = Gradient::USES_SOURCE;
        operation.uses_result = Gradient::USES_RESULT;
        operation.write_rows = write_rows;
        if constexpr (HAS_SUM) {
            operation.sums_use_result = Gradient::SUM_USES_A;
            operation.pass = {start_sums, add, nullptr, join};
            operation.merge = merge;
            operation.make_pivots = finish;
        }
        return operation;
    }
};

template <class Gradient>
const Operation *gradient() {
    static constexpr Operation operation = LoopsOfGradient<Gradient>::operation();
    return &operation;
}

template <class Element>
const Operation *find_for(int operation) {
    switch (operation) {
        case PLAIT_MIN:
        case PLAIT_MAX: return gradient<ExtremumGradient<Element>>();
        case PLAIT_MEAN: return gradient<MeanGradient<Element>>();
        case PLAIT_VAR: return gradient<VarianceGradient<Element, false>>();
        case PLAIT_STD: return gradient<VarianceGradient<Element, true>>();
        case PLAIT_LOGSUMEXP: return gradient<LogSumExpGradient<Element>>();
        case PLAIT_PROD: return gradient<ProductGradient<Element>>();
        default: return nullptr;
    }
}

}  // namespace

const Operation *find_gradient(int operation, int element) {
    switch (element) {
        case PLAIT_FLOAT16: return find_for<Half>(operation);
        case PLAIT_BFLOAT16: return find_for<BFloat>(operation);
        case PLAIT_FLOAT32: return find_for<Plain<float>>(operation);
        case PLAIT_FLOAT64: return find_for<Plain<double>>(operation);
        default: return nullptr;
    }
}

}  // namespace PLAIT_INSTRUCTION_SET
}  // namespace plait
