// Pairs of atoms, the directed edges between near ones, and forces along them.
#pragma once

#include "lanes.hpp"
#include "model.hpp"

namespace PHYSML_KIND {

constexpr double PI = 3.14159265358979323846;
constexpr double TINY = 1e-16;  // as in graph/interface.py
constexpr int NODE = 3;         // rows of a curve's node: value, slope, curvature

// Pairs that carry an energy, or may.
struct Pairs {
    int64_t count;
    int32_t *first, *second;
    double* vector;    // from the first to the second, or its image, (P, 3) Å
    double* distance;  // Å
};

// Near pairs K, and directed edges E: those with the same piece of a curve together,
// those of atoms to themselves last.
template <class T>
struct Edges {
    int64_t near, count;
    int32_t* pair;                        // that a near pair is, (K)
    int32_t *receiver, *sender, *of_near; // (E); K for edges of atoms to themselves
    T* sign;                              // 1 for the first atom of a pair, else -1, (E)
    int32_t* node;                        // of the curves before the distance, (K + 1)
    T *value, *slope;                     // factors of six rows from there, (K + 1, 6)
};

inline double square(double x) { return x * x; }

inline void measure(const Batch& batch, double reach, Pairs& pairs) {
    int64_t most = batch.pairs, count = 0;
    if (most < 0) {
        most = 0;
        for (int64_t m = 0; m < batch.structures; m++) {
            const int64_t size = batch.starts[m + 1] - batch.starts[m];
            most += size * (size - 1) / 2;
        }
    }
    pairs.first = take<int32_t>(most);
    pairs.second = take<int32_t>(most);
    pairs.distance = take<double>(most);
    pairs.vector = take<double>(3 * most);
    auto add = [&](int64_t i, int64_t j, double x, double y, double z) {
        const double squared = x * x + y * y + z * z + TINY;
        if (batch.pairs < 0 && !(squared < reach * reach)) return;
        pairs.first[count] = static_cast<int32_t>(i);
        pairs.second[count] = static_cast<int32_t>(j);
        pairs.vector[3 * count] = x;
        pairs.vector[3 * count + 1] = y;
        pairs.vector[3 * count + 2] = z;
        pairs.distance[count++] = std::sqrt(squared);
    };
    if (batch.pairs >= 0) {
        const int64_t* atoms = batch.pair_atoms;
        for (int64_t p = 0; p < most; p++) {
            const double* v = batch.vectors + 3 * p;
            add(atoms[p], atoms[most + p], v[0], v[1], v[2]);
        }
    } else {
        const double* r = batch.positions;
        for (int64_t m = 0; m < batch.structures; m++)
            for (int64_t i = batch.starts[m]; i < batch.starts[m + 1]; i++)
                for (int64_t j = i + 1; j < batch.starts[m + 1]; j++)
                    add(i, j, r[3 * j] - r[3 * i], r[3 * j + 1] - r[3 * i + 1],
                        r[3 * j + 2] - r[3 * i + 2]);
    }
    pairs.count = count;
}

// Quintic Hermite polynomials between two nodes, of values and of slopes.
template <class T>
void interpolate(double d, double step, int64_t nodes, int32_t& node, T* w, T* v) {
    const double place = d / (1.0 + d) / step;
    const double last = static_cast<double>(nodes - 2);
    const double left = std::floor(place < last ? place : last), t = place - left;
    const double by = 1.0 / (step * (1.0 + d) * (1.0 + d));
    const double t2 = t * t, t3 = t2 * t, t4 = t2 * t2, t5 = t4 * t;
    node = NODE * static_cast<int32_t>(left);
    const double rise = 10.0 * t3 - 15.0 * t4 + 6.0 * t5;
    w[0] = T(1.0 - rise);
    w[1] = T(t - 6.0 * t3 + 8.0 * t4 - 3.0 * t5);
    w[2] = T(0.5 * t2 - 1.5 * t3 + 1.5 * t4 - 0.5 * t5);
    w[3] = T(rise);
    w[4] = T(-4.0 * t3 + 7.0 * t4 - 3.0 * t5);
    w[5] = T(0.5 * t3 - t4 + 0.5 * t5);
    const double steep = by * (30.0 * t2 - 60.0 * t3 + 30.0 * t4);
    v[0] = T(-steep);
    v[1] = T(by * (1.0 - 18.0 * t2 + 32.0 * t3 - 15.0 * t4));
    v[2] = T(by * (t - 4.5 * t2 + 6.0 * t3 - 2.5 * t4));
    v[3] = T(steep);
    v[4] = T(by * (-12.0 * t2 + 28.0 * t3 - 15.0 * t4));
    v[5] = T(by * (1.5 * t2 - 4.0 * t3 + 2.5 * t4));
}

template <class T>
Edges<T> connect(const Model& model, const Batch& batch, const Pairs& pairs) {
    Edges<T> e;
    e.near = 0;
    for (int64_t p = 0; p < pairs.count; p++) e.near += pairs.distance[p] < model.cutoff;
    e.count = 2 * e.near + batch.atoms;
    e.pair = take<int32_t>(e.near);
    e.node = take<int32_t>(e.near + 1);
    e.value = take<T>(6 * (e.near + 1));
    e.slope = take<T>(6 * (e.near + 1));
    e.receiver = take<int32_t>(e.count);
    e.sender = take<int32_t>(e.count);
    e.of_near = take<int32_t>(e.count);
    e.sign = take<T>(e.count);
    const int64_t bins = model.species * model.nodes + 1;
    int32_t* first = take<int32_t>(bins);
    memset(first, 0, bins * sizeof(int32_t));
    auto bin = [&](int64_t atom, int64_t n) {
        return batch.species[atom] * model.nodes + e.node[n] / NODE;
    };
    for (int64_t p = 0, n = 0; p < pairs.count; p++) {
        if (!(pairs.distance[p] < model.cutoff)) continue;
        e.pair[n] = static_cast<int32_t>(p);
        interpolate(pairs.distance[p], model.step, model.nodes, e.node[n],
                    e.value + 6 * n, e.slope + 6 * n);
        first[bin(pairs.first[p], n) + 1]++;
        first[bin(pairs.second[p], n) + 1]++;
        n++;
    }
    for (int64_t b = 1; b < bins; b++) first[b] += first[b - 1];
    auto add = [&](int64_t place, int32_t i, int32_t j, int64_t n, int sign) {
        e.receiver[place] = i;
        e.sign[place] = T(sign);
        e.sender[place] = j;
        e.of_near[place] = static_cast<int32_t>(n);
    };
    for (int64_t n = 0; n < e.near; n++) {
        const int32_t i = pairs.first[e.pair[n]], j = pairs.second[e.pair[n]];
        add(first[bin(i, n)]++, i, j, n, 1);
        add(first[bin(j, n)]++, j, i, n, -1);
    }
    for (int32_t i = 0; i < batch.atoms; i++)
        add(2 * e.near + i, i, i, e.near, 0);
    interpolate(0.0, model.step, model.nodes, e.node[e.near], e.value + 6 * e.near,
                e.slope + 6 * e.near);
    for (int k = 0; k < 6; k++) e.slope[6 * e.near + k] = T(0);
    return e;
}

// Place in its molecule of an atom that no chain of edges links to the first one, of
// the first molecule that has one, or -1.
template <class T>
int64_t unlinked(const Batch& batch, const Edges<T>& edges) {
    int32_t* parent = take<int32_t>(batch.atoms);
    for (int32_t i = 0; i < batch.atoms; i++) parent[i] = i;
    auto top = [&](int32_t i) {
        while (parent[i] != i) i = parent[i] = parent[parent[i]];
        return i;
    };
    for (int64_t e = 0; e < 2 * edges.near; e++) {
        const int32_t i = top(edges.receiver[e]), j = top(edges.sender[e]);
        // The smaller one: the first atom of a molecule stays on top.
        if (i < j) parent[j] = i;
        else parent[i] = j;
    }
    for (int64_t m = 0; m < batch.structures; m++)
        for (int64_t i = batch.starts[m]; i < batch.starts[m + 1]; i++)
            if (top(static_cast<int32_t>(i)) != batch.starts[m]) return i - batch.starts[m];
    return -1;
}

// Add forces and gradients by strain, of those by distances, and by unit vectors
// ``turn`` of near pairs unless it is null.
template <class T>
void pull(const Batch& batch, const int32_t* owner, const Pairs& pairs,
          const Edges<T>& edges, const double* slope, const double* turn) {
    double* across = nullptr;
    if (turn) {
        across = take<double>(3 * pairs.count);
        memset(across, 0, 3 * pairs.count * sizeof(double));
        for (int64_t n = 0; n < edges.near; n++) {
            const int64_t p = edges.pair[n];
            const double *v = pairs.vector + 3 * p, *by = turn + 3 * n, d = pairs.distance[p];
            const double along = (v[0] * by[0] + v[1] * by[1] + v[2] * by[2]) / (d * d);
            for (int x = 0; x < 3; x++) across[3 * p + x] = (by[x] - along * v[x]) / d;
        }
    }
    for (int64_t p = 0; p < pairs.count; p++) {
        const int32_t i = pairs.first[p], j = pairs.second[p];
        const double along = slope[p] / pairs.distance[p];
        double* strain = batch.strain + 9 * owner[i];
        for (int x = 0; x < 3; x++) {
            const double force =
                along * pairs.vector[3 * p + x] + (across ? across[3 * p + x] : 0.0);
            batch.forces[3 * i + x] += force;
            batch.forces[3 * j + x] -= force;
            for (int y = 0; y < 3; y++)
                strain[3 * x + y] += force * pairs.vector[3 * p + y];
        }
    }
}

}  // namespace PHYSML_KIND
