// Products of rows with matrices, and LayerNorm.
#pragma once

#include "lanes.hpp"

namespace PHYSML_KIND {

constexpr double EPSILON = 1e-5;  // of LayerNorm

template <class T, int ROWS>
inline void tile(const T* x, int64_t row, int64_t next, const T* w, int64_t n_in,
                 int64_t n_out, T* out, int64_t out_row) {
    Lanes<T> sums[ROWS];
    for (int r = 0; r < ROWS; r++) sums[r] = Lanes<T>(static_cast<const T*>(out + r * out_row));
    for (int64_t k = 0; k < n_in; k++) {
        const Lanes<T> weights(w + k * n_out);
        for (int r = 0; r < ROWS; r++)
            sums[r] += Same<T>(x[r * row + k * next]) * weights;
    }
    for (int r = 0; r < ROWS; r++) sums[r].store(out + r * out_row);
}

template <class T, int ROWS>
inline void tiles(const T* x, int64_t row, int64_t next, const T* w, int64_t n_in,
                  int64_t n_out, T* out, int64_t out_row, int64_t& i, int64_t rows) {
    for (; i + ROWS <= rows; i += ROWS)
        for (int64_t j = 0; j < n_out; j += GROUP)
            tile<T, ROWS>(x + i * row, row, next, w + j, n_in, n_out,
                          out + i * out_row + j, out_row);
}

// Add x @ w to out: of (rows, n_in), (n_in, n_out) and (rows, n_out). Elements of x are
// ``row`` and ``next`` apart, so that it may be a transpose.
template <class T>
void add_product(const T* x, int64_t row, int64_t next, const T* w, int64_t rows,
                 int64_t n_in, int64_t n_out, T* out, int64_t out_row) {
    constexpr int room = REGISTERS / Lanes<T>::n;
    constexpr int most = room >= 8 ? 8 : room >= 4 ? 4 : room >= 2 ? 2 : 1;
    int64_t i = 0;
    tiles<T, most>(x, row, next, w, n_in, n_out, out, out_row, i, rows);
    tiles<T, (most > 4 ? 4 : most)>(x, row, next, w, n_in, n_out, out, out_row, i, rows);
    tiles<T, (most > 2 ? 2 : most)>(x, row, next, w, n_in, n_out, out, out_row, i, rows);
    tiles<T, 1>(x, row, next, w, n_in, n_out, out, out_row, i, rows);
}

// Add x @ w to out, rows of both packed.
template <class T>
void add_product(const T* x, const T* w, int64_t rows, int64_t n_in, int64_t n_out,
                 T* out) {
    add_product(x, n_in, 1, w, rows, n_in, n_out, out, n_out);
}

// Gradient by a matrix (n_out, n_in) of ``out = x @ matrix.T``: by_out.T @ x is added.
template <class T>
void add_outer(const T* by_out, const T* x, int64_t rows, int64_t n_in, int64_t n_out,
               T* by_matrix) {
    add_product(by_out, 1, n_out, x, n_out, rows, n_in, by_matrix, n_in);
}

template <class T>
void transpose(const T* x, int64_t rows, int64_t columns, T* out) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) out[j * rows + i] = x[i * columns + j];
}

// Add a row to each.
template <class T>
void add_row(const T* row, int64_t rows, int64_t width, T* out) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < width; c += GROUP)
            Lanes<T>(row + c).add_to(out + i * width + c);
}

// Add each to a row.
template <class T>
void sum_rows(const T* x, int64_t rows, int64_t width, T* row) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < width; c += GROUP)
            Lanes<T>(x + i * width + c).add_to(row + c);
}

// LayerNorm of rows without its weights, and 1 / sigma of each. Ones in ``mask`` mark
// channels of the model.
template <class T>
void normalise(const T* x, const T* mask, int64_t rows, int64_t width, int64_t channels,
               T* hat, T* scale) {
    for (int64_t i = 0; i < rows; i++) {
        const T* row = x + i * width;
        Lanes<T> total(T(0)), square(T(0));
        for (int64_t c = 0; c < width; c += GROUP) total += Lanes<T>(row + c);
        const Lanes<T> mean(total.sum() / T(channels));
        for (int64_t c = 0; c < width; c += GROUP) {
            const Lanes<T> off = (Lanes<T>(row + c) - mean) * Lanes<T>(mask + c);
            square += off * off;
            off.store(hat + i * width + c);
        }
        scale[i] = T(1) / std::sqrt(square.sum() / T(channels) + T(EPSILON));
        const Lanes<T> by(scale[i]);
        for (int64_t c = 0; c < width; c += GROUP) {
            T* place = hat + i * width + c;
            (Lanes<T>(static_cast<const T*>(place)) * by).store(place);
        }
    }
}

// Gradient by the rows of `normalise`, added to ``by_x``.
template <class T>
void normalise_back(const T* by_hat, const T* hat, const T* mask, const T* scale,
                    int64_t rows, int64_t width, int64_t channels, T* by_x) {
    for (int64_t i = 0; i < rows; i++) {
        const T *given = by_hat + i * width, *row = hat + i * width;
        Lanes<T> sum(T(0)), product(T(0));
        for (int64_t c = 0; c < width; c += GROUP) {
            const Lanes<T> one = Lanes<T>(given + c) * Lanes<T>(mask + c);
            sum += one;
            product += one * Lanes<T>(row + c);
        }
        const Lanes<T> mean(sum.sum() / T(channels)), along(product.sum() / T(channels));
        const Lanes<T> by(scale[i]);
        for (int64_t c = 0; c < width; c += GROUP) {
            const Lanes<T> off = Lanes<T>(given + c) - mean - Lanes<T>(row + c) * along;
            (by * off * Lanes<T>(mask + c)).add_to(by_x + i * width + c);
        }
    }
}

}  // namespace PHYSML_KIND
