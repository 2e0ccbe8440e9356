// How elements of each type are read and written. Compiled once for each instruction set, in its namespace.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__F16C__)
#include <immintrin.h>
#endif

namespace plait {
namespace PLAIT_INSTRUCTION_SET {

template <class To, class From>
inline To bit_cast(From from) {
    static_assert(sizeof(To) == sizeof(From), "the same bits");
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}

// IEEE half precision to single precision, without branches, so that compilers vectorise it.
inline float half_to_float(uint16_t half) {
    const uint32_t word = static_cast<uint32_t>(half) << 16;
    const uint32_t sign = word & 0x80000000u, twice = word + word;
    // the exponent moves from a bias of 15 to one of 127; infinity and NaN keep the greatest exponent
    const float normal = bit_cast<float>((twice >> 4) + (0xE0u << 23)) * 0x1.0p-112f;
    const float subnormal = bit_cast<float>((twice >> 17) | (126u << 23)) - 0.5f;
    const uint32_t magnitude = bit_cast<uint32_t>(twice < (1u << 27) ? subnormal : normal);
    return bit_cast<float>(sign | magnitude);
}

// Rounds to the nearest half, ties to even.
inline uint16_t float_to_half(float value) {
    const uint32_t bits = bit_cast<uint32_t>(value), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) return static_cast<uint16_t>(sign | 0x7E00u);    // NaN
    if (magnitude >= 0x477FF000u) return static_cast<uint16_t>(sign | 0x7C00u);   // rounds to infinity
    if (magnitude < 0x38800000u) {                                                // subnormal: a multiple of 2^-24
        const float shifted = bit_cast<float>(magnitude) + 0.5f;
        return static_cast<uint16_t>(sign | (bit_cast<uint32_t>(shifted) - bit_cast<uint32_t>(0.5f)));
    }
    const uint32_t rounded = magnitude + 0xFFFu + (magnitude >> 13 & 1u);
    return static_cast<uint16_t>(sign | (rounded - 0x38000000u) >> 13);
}

inline float bfloat_to_float(uint16_t value) { return bit_cast<float>(static_cast<uint32_t>(value) << 16); }

inline uint16_t float_to_bfloat(float value) {
    const uint32_t bits = bit_cast<uint32_t>(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<uint16_t>(bits >> 16 | 0x40u);
    return static_cast<uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

// An element type: how it is stored, and the type that it is computed in. With `CONVERTS_BLOCKS` there is a faster way to
// read several elements at once.
template <class T>
struct Plain {
    typedef T Stored;
    typedef T Value;
    static constexpr bool CONVERTS_BLOCKS = false;
    static Value read(Stored stored) { return stored; }
    static Stored write(Value value) { return value; }
};

struct Half {
    typedef uint16_t Stored;
    typedef float Value;
#if defined(__F16C__)  // compilers do not use these instructions by themselves
    static constexpr bool CONVERTS_BLOCKS = true;
    static void convert(const char *from, float *to, int64_t count) {
        int64_t i = 0;
        for (; i + 8 <= count; i += 8) {
            const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i *>(from + 2 * i));
            _mm256_storeu_ps(to + i, _mm256_cvtph_ps(halves));
        }
        for (; i < count; ++i) {
            Stored stored;
            std::memcpy(&stored, from + 2 * i, sizeof stored);
            to[i] = read(stored);
        }
    }
#else
    static constexpr bool CONVERTS_BLOCKS = false;
#endif
    static Value read(Stored stored) { return half_to_float(stored); }
    static Stored write(Value value) { return float_to_half(value); }
};

struct BFloat {
    typedef uint16_t Stored;
    typedef float Value;
    static constexpr bool CONVERTS_BLOCKS = false;
    static Value read(Stored stored) { return bfloat_to_float(stored); }
    static Stored write(Value value) { return float_to_bfloat(value); }
};

// A date for max: one less, so that NaT, the least number, becomes the greatest.
struct LatestDate {
    typedef uint64_t Stored;
    typedef int64_t Value;
    static constexpr bool CONVERTS_BLOCKS = false;
    static Value read(Stored stored) { return static_cast<int64_t>(stored - 1); }
    static Stored write(Value value) { return static_cast<uint64_t>(value) + 1; }
};

template <class T>
struct Complex {
    T real, imaginary;
};

// What an operation does not need.
struct Nothing {};

// `number` if a condition holds, else 0, as an operation on bits.
inline double zero_unless(bool condition, double number) {
    return bit_cast<double>(bit_cast<uint64_t>(number) & (condition ? ~uint64_t(0) : 0));
}

inline float zero_unless(bool condition, float number) {
    return bit_cast<float>(bit_cast<uint32_t>(number) & (condition ? ~uint32_t(0) : 0));
}

// The exponential of a number between -708 and 0, in double precision.
// Reduction to at most log(2) / 2 in two parts of log(2), then the Taylor series: the error is below 2 units in the
// last place.
inline double exponential_in_range(double x) {
    const double LOG2_E = 1.4426950408889634, HIGH = 0x1.62e42fefa0000p-1, LOW = 0x1.cf79abc9e3b3ap-40;
    const double SHIFT = 0x1.8p52;  // adding it rounds to an integer, in the low bits
    const double shifted = x * LOG2_E + SHIFT;
    const double n = shifted - SHIFT;
    const double r = (x - n * HIGH) - n * LOW;
    double series = 1.0 / 6227020800.0;
    series = series * r + 1.0 / 479001600.0;
    series = series * r + 1.0 / 39916800.0;
    series = series * r + 1.0 / 3628800.0;
    series = series * r + 1.0 / 362880.0;
    series = series * r + 1.0 / 40320.0;
    series = series * r + 1.0 / 5040.0;
    series = series * r + 1.0 / 720.0;
    series = series * r + 1.0 / 120.0;
    series = series * r + 1.0 / 24.0;
    series = series * r + 1.0 / 6.0;
    series = series * r + 0.5;
    series = series * r + 1.0;
    series = series * r + 1.0;
    // the low bits of `shifted` are the power of two, which is added to the exponent of the series
    return bit_cast<double>(bit_cast<uint64_t>(series) + (bit_cast<uint64_t>(shifted) << 52));
}

// The same in single precision, between -87 and 0.
inline float exponential_in_range(float x) {
    const float LOG2_E = 1.44269504f, SHIFT = 0x1.8p23f;
    const float shifted = x * LOG2_E + SHIFT;
    const float n = shifted - SHIFT;
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    const float r = std::fma(-n, 0x1.62e430p-1f, x);  // the product is not rounded
#else
    const float r = (x - n * 0x1.62e400p-1f) - n * 0x1.7f7d1cp-20f;
#endif
    float series = 0x1.6a23d0p-10f;  // of least greatest relative error, 4e-9
    series = series * r + 0x1.123a20p-7f;
    series = series * r + 0x1.5558f2p-5f;
    series = series * r + 0x1.555492p-3f;
    series = series * r + 0x1.fffffcp-2f;
    series = series * r + 1.0f;
    series = series * r + 1.0f;
    // the low bits of `shifted` are the power of two, which is added to the exponent of the series
    return bit_cast<float>(bit_cast<uint32_t>(series) + (bit_cast<uint32_t>(shifted) << 23));
}

constexpr double least_exponent(double) { return -708; }
constexpr float least_exponent(float) { return -87; }

// The exponential of a number that is at most 0; 0 for those whose exponential is not a normal number.
template <class T>
inline T exponential(T x) {
    return zero_unless(!(x < least_exponent(T())), exponential_in_range(x));
}

// The same, but 0 for 0 and for NaN. The bits of negative numbers, as integers without a sign, follow each other from -0 on.
template <class T>
inline T exponential_below_zero(T x) {
    typedef typename std::conditional<sizeof(T) == 4, uint32_t, uint64_t>::type Bits;
    const Bits first = bit_cast<Bits>(T(-0.0)) + 1, last = bit_cast<Bits>(least_exponent(T()));
    return zero_unless(bit_cast<Bits>(x) - first <= last - first, exponential_in_range(x));
}

// The natural logarithm of a finite number that is at least 1, by the series of the inverse hyperbolic tangent.
// Close to 1 the relative error is small as well.
inline double logarithm(double x) {
    const double LOG2_HIGH = 0x1.62e42fefa0000p-1, LOG2_LOW = 0x1.cf79abc9e3b3ap-40, ROOT_OF_2 = 1.4142135623730951;
    const uint64_t bits = bit_cast<uint64_t>(x);
    const double mantissa = bit_cast<double>((bits & 0x000FFFFFFFFFFFFFu) | 0x3FF0000000000000u);
    const bool is_large = mantissa > ROOT_OF_2;
    const double reduced = is_large ? mantissa * 0.5 : mantissa;
    // the exponent as a double: 2^52 plus a small integer has the integer in its low bits
    const double exponent = bit_cast<double>((bits >> 52) | 0x4330000000000000u) - (0x1p52 + 1023.0) + (is_large ? 1.0 : 0.0);
    const double f = reduced - 1.0, s = f / (2.0 + f), z = s * s;
    double series = 1.0 / 23.0;
    series = series * z + 1.0 / 21.0;
    series = series * z + 1.0 / 19.0;
    series = series * z + 1.0 / 17.0;
    series = series * z + 1.0 / 15.0;
    series = series * z + 1.0 / 13.0;
    series = series * z + 1.0 / 11.0;
    series = series * z + 1.0 / 9.0;
    series = series * z + 1.0 / 7.0;
    series = series * z + 1.0 / 5.0;
    series = series * z + 1.0 / 3.0;
    const double small = 2.0 * s + 2.0 * s * (z * series);
    return exponent * LOG2_HIGH + (small + exponent * LOG2_LOW);
}

// The logarithm of `equal + total`, where `total` may be so small that the sum loses it.
inline double logarithm_of_sum(double equal, double total) {
    const double sum = equal + total;
    return logarithm(sum) + (total - (sum - equal)) / sum;
}

}  // namespace PLAIT_INSTRUCTION_SET
}  // namespace plait
