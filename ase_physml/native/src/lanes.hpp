// Sixteen numbers at a time, in as many vector registers as they fill.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "model.hpp"

namespace PHYSML_KIND {

template <class T>
T* take(int64_t count) {
    return static_cast<T*>(take_bytes(static_cast<uint64_t>(count) * sizeof(T)));
}

#if defined(__AVX512F__)
constexpr int BYTES = 64, REGISTERS = 16;
#elif defined(__AVX2__)
constexpr int BYTES = 32, REGISTERS = 8;
#else
constexpr int BYTES = 16, REGISTERS = 8;
#endif
constexpr int GROUP = 16;

template <class T>
struct Whole;
template <>
struct Whole<double> {
    using type = int64_t;
};
template <>
struct Whole<float> {
    using type = int32_t;
};

#if defined(__GNUC__)
template <class T>
struct Part {
    typedef T type __attribute__((vector_size(BYTES)));
    static constexpr int size = BYTES / sizeof(T);
};
#else  // Other compilers vectorise loops over sixteen, or do not.
template <class T>
struct Part {
    using type = T;
    static constexpr int size = 1;
};
#endif

template <class A, class B>
inline A bits(const B& b) {
    A a;
    static_assert(sizeof(A) == sizeof(B), "sizes differ");
    memcpy(&a, &b, sizeof(A));
    return a;
}

template <class T>
struct Lanes {
    using P = typename Part<T>::type;
    static constexpr int n = GROUP / Part<T>::size;
    P v[n];

    Lanes() = default;
    Lanes(T x) {
        for (int i = 0; i < n; i++) v[i] = P{} + x;
    }
    explicit Lanes(const T* from) { memcpy(v, from, sizeof(v)); }
    void store(T* to) const { memcpy(to, v, sizeof(v)); }
    void add_to(T* to) const { (Lanes(static_cast<const T*>(to)) + *this).store(to); }

#define PHYSML_OPERATOR(op)                                       \
    friend inline Lanes operator op(const Lanes& a, const Lanes& b) { \
        Lanes c;                                                  \
        for (int i = 0; i < n; i++) c.v[i] = a.v[i] op b.v[i];    \
        return c;                                                 \
    }
    PHYSML_OPERATOR(+)
    PHYSML_OPERATOR(-)
    PHYSML_OPERATOR(*)
    PHYSML_OPERATOR(/)
#undef PHYSML_OPERATOR
    Lanes& operator+=(const Lanes& b) { return *this = *this + b; }

    T sum() const;
};

// One number in all lanes, in a single register.
template <class T>
struct Same {
    typename Lanes<T>::P v;
    Same() = default;
    Same(T x) : v(typename Lanes<T>::P{} + x) {}
    friend inline Lanes<T> operator*(const Same& a, const Lanes<T>& b) {
        Lanes<T> c;
        for (int i = 0; i < c.n; i++) c.v[i] = a.v * b.v[i];
        return c;
    }
};

template <class T>
inline Lanes<T> smaller(const Lanes<T>& a, const Lanes<T>& b) {
    Lanes<T> c;
    for (int i = 0; i < c.n; i++) c.v[i] = a.v[i] < b.v[i] ? a.v[i] : b.v[i];
    return c;
}

template <class T>
inline Lanes<T> larger(const Lanes<T>& a, const Lanes<T>& b) {
    Lanes<T> c;
    for (int i = 0; i < c.n; i++) c.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
    return c;
}

template <class T>
inline Lanes<T> clip(const Lanes<T>& x, T low, T high) {
    return smaller(larger(x, Lanes<T>(low)), Lanes<T>(high));
}

template <int STEP, class T>
inline void add_lanes(Lanes<T>& x) {
    constexpr int size = Part<T>::size, n = Lanes<T>::n;
    Lanes<T> other;
    for (int i = 0; i < n; i++) {
        if constexpr (STEP >= size) {
            other.v[i] = x.v[(i + STEP / size) % n];
        } else {
#if defined(__GNUC__) && !defined(__clang__)
            typename Part<typename Whole<T>::type>::type from;
            for (int k = 0; k < size; k++) from[k] = (k + STEP) % size;
            other.v[i] = __builtin_shuffle(x.v[i], from);
#elif defined(__GNUC__)
            for (int k = 0; k < size; k++) other.v[i][k] = x.v[i][(k + STEP) % size];
#endif
        }
    }
    x += other;
}

// Lanes of the same head added up, the sum in each of them: lane c is of head c % heads.
template <class T>
inline Lanes<T> fold(Lanes<T> x, int64_t heads) {
    if (heads <= 8) add_lanes<8>(x);
    if (heads <= 4) add_lanes<4>(x);
    if (heads <= 2) add_lanes<2>(x);
    if (heads <= 1) add_lanes<1>(x);
    return x;
}

template <class T>
T Lanes<T>::sum() const {
    const P first = fold(*this, 1).v[0];
    T found;
    memcpy(&found, &first, sizeof(T));
    return found;
}

// Where exp(x) is a normal number of the type.
template <class T>
constexpr T LARGEST = sizeof(T) == 8 ? T(600) : T(80);

template <class T>
inline Lanes<T> polynomial(const Lanes<T>& x, const T* factors, int count) {
    Lanes<T> p(factors[0]);
    for (int k = 1; k < count; k++) p = p * x + Lanes<T>(factors[k]);
    return p;
}

// 2^n r with |r| < ln(2) / 2: n in the last bits of a number to which 1.5 * 2^52 (of
// float 2^23) is added, r's exponential a Taylor polynomial.
inline Lanes<double> exp(const Lanes<double>& x) {
    constexpr double MAGIC = 6755399441055744.0;
    static const double taylor[] = {
        1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
        1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0};
    const Lanes<double> t = x * Lanes<double>(1.4426950408889634) + Lanes<double>(MAGIC);
    const Lanes<double> n = t - Lanes<double>(MAGIC);
    const Lanes<double> r = x - n * Lanes<double>(0.6931471805599453);
    Lanes<double> p = polynomial(r, taylor, 13);
    using W = typename Part<int64_t>::type;
    for (int i = 0; i < p.n; i++)
        p.v[i] *= bits<Lanes<double>::P>((bits<W>(t.v[i]) + 1023) << 52);
    return p;
}

inline Lanes<float> exp(const Lanes<float>& x) {
    constexpr float MAGIC = 12582912.0f;
    static const float taylor[] = {1.0f / 5040, 1.0f / 720, 1.0f / 120, 1.0f / 24,
                                   1.0f / 6,    0.5f,       1.0f,       1.0f};
    const Lanes<float> t = x * Lanes<float>(1.44269504f) + Lanes<float>(MAGIC);
    const Lanes<float> n = t - Lanes<float>(MAGIC);
    const Lanes<float> high = x - n * Lanes<float>(0.693145752f);
    const Lanes<float> r = high - n * Lanes<float>(1.42860677e-6f);
    Lanes<float> p = polynomial(r, taylor, 8);
    using W = typename Part<int32_t>::type;
    for (int i = 0; i < p.n; i++)
        p.v[i] *= bits<Lanes<float>::P>((bits<W>(t.v[i]) + 127) << 23);
    return p;
}

inline double exp(double x) {
    double all[GROUP];
    exp(Lanes<double>(x)).store(all);
    return all[0];
}

// Natural logarithm of positive numbers: 2 artanh of (m - 1) / (m + 1) by its series,
// m between the roots of 1/2 and 2.
inline Lanes<double> log(const Lanes<double>& x) {
    constexpr int64_t HALF = 0x3FE6A09E667F3BCD;  // of the square root of 1/2
    static const double series[] = {
        1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11,
        1.0 / 9,  1.0 / 7,  1.0 / 5,  1.0 / 3,  1.0};
    double given[GROUP], shifts[GROUP];
    x.store(given);
    for (int i = 0; i < GROUP; i++) {
        const int64_t whole = bits<int64_t>(given[i]), shift = (whole - HALF) >> 52;
        given[i] = bits<double>(whole - shift * (int64_t(1) << 52));
        shifts[i] = static_cast<double>(shift);
    }
    const Lanes<double> m(static_cast<const double*>(given)), one(1.0);
    const Lanes<double> s = (m - one) / (m + one);
    const Lanes<double> p = polynomial(s * s, series, 11);
    const Lanes<double> n(static_cast<const double*>(shifts));
    return n * Lanes<double>(0.6931471805599453) + Lanes<double>(2.0) * s * p;
}

template <class T>
inline Lanes<T> sigmoid(const Lanes<T>& x) {
    const Lanes<T> one(T(1)), down = clip(Lanes<T>(T(0)) - x, -LARGEST<T>, LARGEST<T>);
    return one / (one + exp(down));
}

inline Lanes<double> softplus(const Lanes<double>& x) {
    const Lanes<double> zero(0.0), size = larger(x, zero - x);
    const Lanes<double> small = exp(larger(zero - size, Lanes<double>(-600.0)));
    return larger(x, zero) + log(Lanes<double>(1.0) + small);
}

}  // namespace PHYSML_KIND
