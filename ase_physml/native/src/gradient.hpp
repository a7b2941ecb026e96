// PhysML's energy and its gradient, forward and back through all layers.
//
// Equations are those of models/physml/model.py, in the same order. Features have the
// type of the weights, geometry and energies are double.
#pragma once

#include "angles.hpp"
#include "charges.hpp"
#include "messages.hpp"

namespace PHYSML_KIND {

template <class T>
T* zeros(int64_t count) {
    T* found = take<T>(count);
    memset(found, 0, static_cast<size_t>(count) * sizeof(T));
    return found;
}

// What one pass keeps for the way back: atoms A, edges E, channels W.
template <class T>
struct Features {
    T *x;                    // (A, W)
    T *hat, *scale;          // normalised, and 1 / sigma, (L + 1, A, W) and (L + 1, A)
    T *qkv;                  // (L, A, Q)
    T *gate, *rise, *update; // (L, E, period) twice, (L, A, W)
    T *around, *hidden;      // (A, W), (A, O)
    T *sums, *squares;       // of directions, (L, A, 9, D), (L, A, 2, D)
    Direction<T>* to;        // (K), null without them
    Directed directed;
    int64_t atom_rows, edge_rows, sent, moments;

    Features(const Model& m, const Pairs& pairs, const Edges<T>& edges, int64_t atoms)
        : directed{m.directed, m.heads > GROUP ? m.heads : GROUP, Weights<T>::rows(m)},
          atom_rows(atoms * m.width), edge_rows(edges.count * directed.period),
          sent(atoms * directed.row), moments(atoms * directed.moments()) {
        x = take<T>(atom_rows);
        hat = take<T>((m.depth + 1) * atom_rows);
        scale = take<T>((m.depth + 1) * atoms);
        qkv = zeros<T>(m.depth * sent);
        gate = take<T>(m.depth * edge_rows);
        rise = take<T>(m.depth * edge_rows);
        update = zeros<T>(m.depth * atom_rows);
        around = zeros<T>(atom_rows);
        hidden = zeros<T>(atoms * Weights<T>::outputs(m));
        sums = zeros<T>(m.depth * moments);
        squares = take<T>(m.depth * atoms * 2 * m.directed);
        to = m.directed ? directions(m, pairs, edges) : nullptr;
    }
};

template <class T>
void encode(const Model& m, const Batch& batch, const Weights<T>& weights,
            const Edges<T>& edges, const Features<T>& f) {
    const int64_t w = m.width, a = batch.atoms, o = Weights<T>::outputs(m);
    const Curves<T> curves(m, static_cast<T*>(const_cast<void*>(m.curves)));
    const Transposed<T> forward(m);
    for (int64_t i = 0; i < a; i++)
        memcpy(f.x + i * w, weights.base + batch.species[i] * w, w * sizeof(T));
    neighbours(curves, weights.own, batch.species, edges, f.around);
    add_product(f.around, forward.mix, a, w, w, f.x);
    for (int64_t l = 0; l < m.depth; l++) {
        const Layer<T> layer = weights.layer(l);
        T *hat = f.hat + l * f.atom_rows, *qkv = f.qkv + l * f.sent;
        T *update = f.update + l * f.atom_rows, *gate = f.gate + l * f.edge_rows;
        normalise(f.x, weights.mask, a, w, m.channels, hat, f.scale + l * a);
        add_row(layer.qkv_bias, a, f.directed.row, qkv);
        add_product(hat, forward.qkv(l), a, w, f.directed.row, qkv);
        attend(curves, l, m.heads, f.directed.row, batch.species, edges, qkv, gate,
               f.rise + l * f.edge_rows, update);
        if (f.to) {
            T *sums = f.sums + l * f.moments, *squares = f.squares + l * 2 * a * m.directed;
            gather(f.directed, edges, f.to, gate, qkv + 3 * w, sums);
            square_moments(f.directed, a, sums, squares);
            add_product(squares, forward.squares(l), a, 2 * m.directed, w, update);
        }
        add_row(layer.out_bias, a, w, f.x);
        add_product(update, forward.out(l), a, w, w, f.x);
    }
    T* last = f.hat + m.depth * f.atom_rows;
    normalise(f.x, weights.mask, a, w, m.channels, last, f.scale + m.depth * a);
    add_row(weights.heads_bias, a, o, f.hidden);
    add_product(last, forward.heads, a, w, o, f.hidden);
}

// Gradients by distances of near pairs, or weights, from those by hidden features.
template <class T, bool LEARNS>
void encode_back(const Model& m, const Batch& batch, const Weights<T>& weights,
                 const Edges<T>& edges, const Features<T>& f, const T* by_hidden,
                 double* near_slope, double* turn, const Weights<T>& by) {
    const int64_t w = m.width, a = batch.atoms, o = Weights<T>::outputs(m);
    const Curves<T> curves(m, static_cast<T*>(const_cast<void*>(m.curves)));
    const Curves<T> by_curves(m, static_cast<T*>(batch.by_curves));
    const T* last = f.hat + m.depth * f.atom_rows;
    T *by_x = zeros<T>(a * w), *by_hat = zeros<T>(a * w), *by_update = take<T>(a * w);
    T *by_qkv = take<T>(f.sent), *by_squares = take<T>(2 * a * m.directed);
    T* by_gate = f.to ? take<T>(f.edge_rows) : nullptr;
    if constexpr (LEARNS) {
        add_outer(by_hidden, last, a, w, o, by.heads);
        sum_rows(by_hidden, a, o, by.heads_bias);
    }
    add_product(by_hidden, weights.heads, a, o, w, by_hat);
    normalise_back(by_hat, last, weights.mask, f.scale + m.depth * a, a, w, m.channels, by_x);
    for (int64_t l = m.depth - 1; l >= 0; l--) {
        const Layer<T> layer = weights.layer(l);
        const T *hat = f.hat + l * f.atom_rows, *update = f.update + l * f.atom_rows;
        const T *qkv = f.qkv + l * f.sent, *gate = f.gate + l * f.edge_rows;
        memset(by_update, 0, a * w * sizeof(T));
        memset(by_hat, 0, a * w * sizeof(T));
        memset(by_qkv, 0, f.sent * sizeof(T));
        add_product(by_x, layer.out, a, w, w, by_update);
        if (f.to) {
            T *sums = f.sums + l * f.moments, *squares = f.squares + l * 2 * a * m.directed;
            memset(by_squares, 0, 2 * a * m.directed * sizeof(T));
            memset(by_gate, 0, f.edge_rows * sizeof(T));
            add_product(by_update, layer.squares, a, w, 2 * m.directed, by_squares);
            if constexpr (LEARNS)
                add_outer(by_update, squares, a, 2 * m.directed, w, by.layer(l).squares);
            square_moments_back(f.directed, a, by_squares, sums);
            gather_back(f.directed, edges, f.to, gate, qkv + 3 * w, sums, by_gate,
                        by_qkv + 3 * w, near_slope, turn);
        }
        attend_back<T, LEARNS>(curves, l, m.heads, f.directed.row, batch.species, edges,
                               qkv, gate, f.rise + l * f.edge_rows, by_gate, by_update,
                               by_qkv, near_slope, by_curves);
        add_product(by_qkv, layer.qkv, a, f.directed.row, w, by_hat);
        if constexpr (LEARNS) {
            const Layer<T> to = by.layer(l);
            add_outer(by_x, update, a, w, w, to.out);
            sum_rows(by_x, a, w, to.out_bias);
            add_outer(by_qkv, hat, a, w, f.directed.row, to.qkv);
            sum_rows(by_qkv, a, f.directed.row, to.qkv_bias);
        }
        normalise_back(by_hat, hat, weights.mask, f.scale + l * a, a, w, m.channels, by_x);
    }
    memset(by_update, 0, a * w * sizeof(T));  // by what is around
    add_product(by_x, weights.mix, a, w, w, by_update);
    if constexpr (LEARNS) {
        add_outer(by_x, f.around, a, w, w, by.mix);
        for (int64_t i = 0; i < a; i++)
            sum_rows(by_x + i * w, 1, w, by.base + batch.species[i] * w);
    }
    neighbours_back<T, LEARNS>(curves, weights.own, batch.species, edges, by_update,
                               near_slope, by.own, by_curves);
}

template <class T, bool LEARNS>
void run(const Model& m, Batch& batch) {
    const Weights<T> weights(m, static_cast<T*>(const_cast<void*>(m.weights)));
    const Weights<T> by(m, static_cast<T*>(batch.by_weights));
    const int64_t o = Weights<T>::outputs(m), a = batch.atoms;
    int32_t* owner = take<int32_t>(a);
    for (int64_t k = 0; k < batch.structures; k++)
        for (int64_t i = batch.starts[k]; i < batch.starts[k + 1]; i++)
            owner[i] = static_cast<int32_t>(k);
    Pairs pairs;
    measure(batch, m.reach, pairs);
    batch.shortest = HUGE_VAL;
    for (int64_t p = 0; p < pairs.count; p++)
        if (pairs.distance[p] < batch.shortest) batch.shortest = pairs.distance[p];
    const Edges<T> edges = connect<T>(m, batch, pairs);
    batch.near = edges.near;
    batch.alone = unlinked(batch, edges);
    const Features<T> f(m, pairs, edges, a);
    encode(m, batch, weights, edges, f);

    T *by_hidden = zeros<T>(a * o), *grown = take<T>(2 * a * m.width);
    double *slope = zeros<double>(pairs.count), *by_charges = zeros<double>(a);
    double* near_slope = zeros<double>(edges.near + 1);
    double* turn = m.directed && !LEARNS ? zeros<double>(3 * edges.near) : nullptr;
    batch.largest = 0.0;
    for (int64_t i = 0; i < a; i++) {
        batch.energies[i] = double(weights.constants[batch.species[i]]);
        if constexpr (LEARNS)
            by.constants[batch.species[i]] +=
                batch.by_energies ? T(batch.by_energies[owner[i]]) : T(1);
        if (batch.by_charges) by_charges[i] = batch.by_charges[i];
    }
    if (m.hidden)
        atom_terms<T, LEARNS>(m, batch, weights, owner, f.hidden,
                              m.betas ? 2 * m.width : 0, by_hidden, by);
    if (m.betas) batch.largest = exponentials(f.hidden, a, o, m.width, grown);
    if (m.betas == 5)
        pair_terms<T, 5, LEARNS>(m, batch, weights, pairs, owner, f.hidden, grown,
                                 by_hidden, slope, by);
    if (m.betas == 3) {
        const Flows<T> flows = charges_of(m, batch, weights, pairs, edges, f.hidden);
        pair_terms<T, 3, LEARNS>(m, batch, weights, pairs, owner, f.hidden, grown,
                                 by_hidden, slope, by);
        coulomb_terms(batch, weights, pairs, owner, by_charges, slope);
        if (batch.splitting > 0.0) reciprocal_terms(batch, by_charges);
        charges_back<T, LEARNS>(m, batch, weights, pairs, edges, flows, by_charges,
                                f.hidden, by_hidden, near_slope, by);
    }
    encode_back<T, LEARNS>(m, batch, weights, edges, f, by_hidden, near_slope, turn, by);
    if constexpr (!LEARNS) {
        for (int64_t n = 0; n < edges.near; n++) slope[edges.pair[n]] += near_slope[n];
        pull(batch, owner, pairs, edges, slope, turn);
    }
}

}  // namespace PHYSML_KIND
