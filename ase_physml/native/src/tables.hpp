// Nodes of the curves from the radial basis: SiLU of its products with the filters.
//
// Everything is a triple of value, slope and curvature in the distance.
#pragma once

#include "products.hpp"

namespace PHYSML_KIND {

template <class T>
struct Triple {
    Lanes<T> a, b, c;
};

// SiLU and its first three derivatives.
template <class T>
struct Silu {
    Lanes<T> value, first, second, third;
    explicit Silu(const Lanes<T>& x) {
        const Lanes<T> one(T(1)), two(T(2)), s = sigmoid(x), rise = s * (one - s);
        const Lanes<T> off = one - two * s, around = two + x * off;
        value = x * s;
        first = s + x * rise;
        second = rise * around;
        third = rise * off * around + rise * (off - two * x * rise);
    }
};

// Rows of tables, (S * nodes); columns C: those of the layers, then the neighbours'.
template <class T>
struct Rows {
    const Tables& t;
    int64_t count, columns, width, depth;

    explicit Rows(const Tables& t)
        : t(t), count(t.species * t.nodes), columns(t.width * (2 * t.depth + 1)),
          width(t.width), depth(t.depth) {}

    // Place of a node's value in the curves, and the distance to its slope.
    int64_t place(int64_t row, int64_t column, int64_t& stride) const {
        const int64_t species = row / t.nodes, node = row % t.nodes;
        const int64_t layer = column / (2 * width), within = column % (2 * width);
        stride = layer < depth ? 2 * width : width;
        const int64_t before = 3 * t.nodes * (species * columns + layer * 2 * width);
        return before + 3 * node * stride + within;
    }
    // Values of attention carry the envelope that belongs to its weights.
    bool faded(int64_t column) const {
        return column < 2 * width * depth && column % (2 * width) >= width;
    }
    const double* factors(int64_t row) const { return t.factors + 5 * (row % t.nodes); }
    T* product(int64_t k, int64_t row) const {
        return static_cast<T*>(t.products) + (k * count + row) * columns;
    }
};

// Fill products, (3, S * nodes, C), and curves.
template <class T>
void tabulate(const Tables& t) {
    const Rows<T> rows(t);
    const int64_t n = rows.count, columns = rows.columns, linear = 2 * t.width * t.depth;
    const T *basis = static_cast<const T*>(t.basis), *bias = static_cast<const T*>(t.bias);
    T *curves = static_cast<T*>(t.curves), *forward = take<T>(columns * t.functions);
    transpose(static_cast<const T*>(t.filters), columns, t.functions, forward);
    memset(t.products, 0, 3 * n * columns * sizeof(T));
    add_product(basis, forward, 3 * n, t.functions, columns, rows.product(0, 0));
    for (int64_t r = 0; r < n; r++) {
        const double* f = rows.factors(r);
        const Lanes<T> p{T(f[0])}, q{T(f[1])}, u{T(f[2])}, by{T(f[3])}, bend{T(f[4])};
        for (int64_t c = 0; c < columns; c += GROUP) {
            const T* at = rows.product(0, r) + c;
            Triple<T> z{Lanes<T>(at), Lanes<T>(at + n * columns),
                        Lanes<T>(at + 2 * n * columns)};
            if (c < linear) {
                const Silu<T> silu(z.a + Lanes<T>(bias + c));
                z.a = silu.value;
                z.c = silu.second * z.b * z.b + silu.first * z.c;
                z.b = silu.first * z.b;
            }
            if (rows.faded(c)) {
                z.c = p * z.c + q * z.b + q * z.b + u * z.a;
                z.b = p * z.b + q * z.a;
                z.a = p * z.a;
            }
            int64_t stride;
            T* to = curves + rows.place(r, c, stride);
            z.a.store(to);
            (z.b * by).store(to + stride);
            (z.c * by * by + z.b * bend).store(to + 2 * stride);
        }
    }
}

// Gradients by the basis, filters and biases from those by curves, all overwritten.
template <class T>
void tabulate_back(const Tables& t) {
    const Rows<T> rows(t);
    const int64_t n = rows.count, columns = rows.columns, linear = 2 * t.width * t.depth;
    const T *basis = static_cast<const T*>(t.basis), *bias = static_cast<const T*>(t.bias);
    const T* by_curves = static_cast<const T*>(t.curves);
    T *by_basis = static_cast<T*>(t.by_basis), *by_bias = static_cast<T*>(t.by_bias);
    T *by_filters = static_cast<T*>(t.by_filters), *by_z = take<T>(3 * n * columns);
    memset(by_basis, 0, 3 * n * t.functions * sizeof(T));
    memset(by_filters, 0, columns * t.functions * sizeof(T));
    memset(by_bias, 0, columns * sizeof(T));
    for (int64_t r = 0; r < n; r++) {
        const double* f = rows.factors(r);
        const Lanes<T> p{T(f[0])}, q{T(f[1])}, u{T(f[2])}, by{T(f[3])}, bend{T(f[4])};
        for (int64_t c = 0; c < columns; c += GROUP) {
            int64_t stride;
            const T *from = by_curves + rows.place(r, c, stride), *at = rows.product(0, r) + c;
            const Lanes<T> last(from + 2 * stride);
            Triple<T> g{Lanes<T>(from), Lanes<T>(from + stride) * by + last * bend,
                        last * by * by};
            if (rows.faded(c)) {
                g.a = p * g.a + q * g.b + u * g.c;
                g.b = p * g.b + q * g.c + q * g.c;
                g.c = p * g.c;
            }
            if (c < linear) {
                const Silu<T> silu(Lanes<T>(at) + Lanes<T>(bias + c));
                const Lanes<T> z1(at + n * columns), z2(at + 2 * n * columns);
                const Lanes<T> slope = silu.second * z1;
                g.a = silu.first * g.a + slope * g.b +
                      (silu.third * z1 * z1 + silu.second * z2) * g.c;
                g.b = silu.first * g.b + (slope + slope) * g.c;
                g.c = silu.first * g.c;
            }
            T* to = by_z + r * columns + c;
            g.a.store(to);
            g.b.store(to + n * columns);
            g.c.store(to + 2 * n * columns);
            g.a.add_to(by_bias + c);
        }
    }
    add_product(by_z, static_cast<const T*>(t.filters), 3 * n, columns, t.functions, by_basis);
    add_outer(by_z, basis, 3 * n, t.functions, columns, by_filters);
}

}  // namespace PHYSML_KIND
