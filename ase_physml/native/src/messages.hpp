// Messages along edges: the neighbour embedding (Eq 4) and attention (Sec 3.3).
//
// Functions that end in ``_back`` take gradients by what the one before them gave, and
// add those by what it took: of the distances (``slope``, by near pair), or, if
// ``by_curves`` is there, of the nodes of the curves instead.
#pragma once

#include "geometry.hpp"
#include "weights.hpp"

namespace PHYSML_KIND {

// Curves of elements: D^K and D^V of each layer side by side, then the neighbours'.
template <class T>
struct Curves {
    T* from;
    int64_t rows, width, depth;

    Curves(const Model& m, T* from)
        : from(from), rows(NODE * m.nodes), width(m.width), depth(m.depth) {}
    T* element(int64_t species) const {
        return from + species * rows * width * (2 * depth + 1);
    }
    T* layer(int64_t species, int64_t i) const {
        return element(species) + i * rows * 2 * width;
    }
    T* around(int64_t species) const { return layer(species, depth); }
};

// Six factors, each in all lanes.
template <class T>
struct Six {
    Same<T> w[6];
    explicit Six(const T* from) {
        for (int k = 0; k < 6; k++) w[k] = Same<T>(from[k]);
    }
    // Sum over six rows.
    Lanes<T> of(const T* rows, int64_t stride) const {
        Lanes<T> total = w[0] * Lanes<T>(rows);
        for (int k = 1; k < 6; k++) total += w[k] * Lanes<T>(rows + k * stride);
        return total;
    }
    // Sums with other factors as well, of the same rows.
    void of(const T* rows, int64_t stride, const Six& other, Lanes<T>& a,
            Lanes<T>& b) const {
        Lanes<T> row(rows);
        a = w[0] * row, b = other.w[0] * row;
        for (int k = 1; k < 6; k++) {
            row = Lanes<T>(rows + k * stride);
            a += w[k] * row, b += other.w[k] * row;
        }
    }
    void spread(const Lanes<T>& by, T* rows, int64_t stride) const {
        for (int k = 0; k < 6; k++) (w[k] * by).add_to(rows + k * stride);
    }
};

// Sum of the neighbours' features by receiver.
template <class T>
void neighbours(const Curves<T>& curves, const T* own, const int64_t* species,
                const Edges<T>& edges, T* around) {
    const int64_t w = curves.width;
    for (int64_t e = 0; e < 2 * edges.near; e++) {
        const int32_t i = edges.receiver[e], n = edges.of_near[e];
        const T* rows = curves.around(species[i]) + edges.node[n] * w;
        const T* them = own + species[edges.sender[e]] * w;
        const Six<T> value(edges.value + 6 * n);
        for (int64_t c = 0; c < w; c += GROUP)
            (value.of(rows + c, w) * Lanes<T>(them + c)).add_to(around + i * w + c);
    }
}

template <class T, bool LEARNS>
void neighbours_back(const Curves<T>& curves, const T* own, const int64_t* species,
                     const Edges<T>& edges, const T* by, double* slope, T* by_own,
                     const Curves<T>& by_curves) {
    const int64_t w = curves.width;
    for (int64_t e = 0; e < 2 * edges.near; e++) {
        const int32_t i = edges.receiver[e], n = edges.of_near[e];
        const int64_t at = edges.node[n] * w, sender = species[edges.sender[e]] * w;
        const T *rows = curves.around(species[i]) + at, *given = by + i * w;
        const Six<T> factors((LEARNS ? edges.value : edges.slope) + 6 * n);
        Lanes<T> total(T(0));
        for (int64_t c = 0; c < w; c += GROUP) {
            const Lanes<T> product = Lanes<T>(given + c) * Lanes<T>(own + sender + c);
            const Lanes<T> curve = factors.of(rows + c, w);
            if constexpr (LEARNS) {
                factors.spread(product, by_curves.around(species[i]) + at + c, w);
                (curve * Lanes<T>(given + c)).add_to(by_own + sender + c);
            } else {
                total += product * curve;
            }
        }
        if constexpr (!LEARNS) slope[n] += total.sum();
    }
}

// Weights of attention SiLU(q k D^K) and messages, added to their receivers.
//
// Rows of ``qkv`` are queries, keys, values and more, (A, Q); ``gate`` and ``rise`` are
// the SiLU and its slope, (E, period): once for each lane of a period of heads.
template <class T>
void attend(const Curves<T>& curves, int64_t layer, int64_t heads, int64_t row,
            const int64_t* species, const Edges<T>& edges, const T* qkv, T* gate,
            T* rise, T* update) {
    const int64_t w = curves.width, period = heads > GROUP ? heads : GROUP;
    for (int64_t e = 0; e < edges.count; e++) {
        const int32_t i = edges.receiver[e], j = edges.sender[e], n = edges.of_near[e];
        const T* rows = curves.layer(species[i], layer) + edges.node[n] * 2 * w;
        const T *q = qkv + i * row, *k = qkv + j * row + w, *v = k + w;
        const Six<T> value(edges.value + 6 * n);
        for (int64_t g = 0; g < period; g += GROUP) {
            Lanes<T> logit(T(0));
            for (int64_t c = g; c < w; c += period)
                logit += Lanes<T>(q + c) * Lanes<T>(k + c) * value.of(rows + c, 2 * w);
            logit = fold(logit, heads);
            const Lanes<T> s = sigmoid(logit), open = logit * s, one(T(1));
            open.store(gate + e * period + g);
            (s + open * (one - s)).store(rise + e * period + g);
            for (int64_t c = g; c < w; c += period) {
                const Lanes<T> filter = value.of(rows + w + c, 2 * w);
                (open * Lanes<T>(v + c) * filter).add_to(update + i * w + c);
            }
        }
    }
}

// ``by_gate`` are gradients that came otherwise, lane by lane, (E, period), or null.
template <class T, bool LEARNS>
void attend_back(const Curves<T>& curves, int64_t layer, int64_t heads, int64_t row,
                 const int64_t* species, const Edges<T>& edges, const T* qkv,
                 const T* gate, const T* rise, const T* by_gate, const T* by_update,
                 T* by_qkv,
                 double* slope, const Curves<T>& by_curves) {
    const int64_t w = curves.width, period = heads > GROUP ? heads : GROUP;
    for (int64_t e = 0; e < edges.count; e++) {
        const int32_t i = edges.receiver[e], j = edges.sender[e], n = edges.of_near[e];
        const int64_t at = edges.node[n] * 2 * w, kind = species[i];
        const T *rows = curves.layer(kind, layer) + at, *given = by_update + i * w;
        T* by_rows = LEARNS ? by_curves.layer(kind, layer) + at : nullptr;
        const T *q = qkv + i * row, *k = qkv + j * row + w, *v = k + w;
        T *by_q = by_qkv + i * row, *by_k = by_qkv + j * row + w, *by_v = by_k + w;
        const Six<T> value(edges.value + 6 * n), steep(edges.slope + 6 * n);
        Lanes<T> total(T(0));
        for (int64_t g = 0; g < period; g += GROUP) {
            const Lanes<T> open(gate + e * period + g);
            Lanes<T> by_logit(T(0));
            if (by_gate) by_logit = Lanes<T>(by_gate + e * period + g);
            for (int64_t c = g; c < w; c += period) {
                Lanes<T> filter, slope_of_it;
                value.of(rows + w + c, 2 * w, steep, filter, slope_of_it);
                const Lanes<T> received(given + c), passed = received * Lanes<T>(v + c);
                by_logit += passed * filter;
                (open * received * filter).add_to(by_v + c);
                if constexpr (LEARNS)
                    value.spread(open * passed, by_rows + w + c, 2 * w);
                else
                    total += open * passed * slope_of_it;
            }
            by_logit = fold(by_logit, heads) * Lanes<T>(rise + e * period + g);
            for (int64_t c = g; c < w; c += period) {
                Lanes<T> filter, slope_of_it;
                value.of(rows + c, 2 * w, steep, filter, slope_of_it);
                const Lanes<T> query = by_logit * Lanes<T>(q + c), key(k + c);
                (by_logit * key * filter).add_to(by_q + c);
                (query * filter).add_to(by_k + c);
                if constexpr (LEARNS)
                    value.spread(query * key, by_rows + c, 2 * w);
                else
                    total += query * key * slope_of_it;
            }
        }
        if constexpr (!LEARNS) slope[n] += total.sum();
    }
}

}  // namespace PHYSML_KIND
