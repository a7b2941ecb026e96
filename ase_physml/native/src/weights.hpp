// Weights of a model in one array, in the order in which `weights.py` joins them.
#pragma once

#include "model.hpp"
#include "products.hpp"

namespace PHYSML_KIND {

template <class T>
struct Layer {
    T *qkv, *qkv_bias;  // queries, keys and values, (3 W, W) and (3 W)
    T *out, *out_bias;  // output of the heads, (W, W) and (W)
};

// Those of LayerNorm are folded into what follows it. Gradients have the same layout.
template <class T>
struct Weights {
    T* base;    // features of elements behind `combine`, (S, W)
    T* own;     // as neighbours see them, (S, W)
    T* mix;     // `neighbour_mix` and `combine` as one, (W, W)
    T* heads;   // first layers of pairs, of the first atom and the second, of the
    T* heads_bias;  // atoms' head, and the charges' projections u and w: (O, W), (O)
    T *betas, *betas_bias;  // last layer of pairs, halved: the mean of both orders
    T* atom_out;            // last layer of the atoms' head, (hidden)
    T* constants;           // energies of elements, (S) eV
    T* scale;               // of differences of electronegativity, (1)
    T* mask;                // ones for channels of the model, (W)
    T *radii, *chi, *contacts, *depths;  // of elements, (S); roots of depths
    T* layers;
    int64_t width;

    Weights(const Model& m, T* from) : width(m.width) {
        auto next = [&from](int64_t count) {
            T* found = from;
            from += count;
            return found;
        };
        const int64_t w = m.width, s = m.species, o = outputs(m);
        base = next(s * w), own = next(s * w), mix = next(w * w);
        layers = next(m.depth * (4 * w * w + 4 * w));
        heads = next(o * w), heads_bias = next(o);
        betas = next(m.betas * w), betas_bias = next(m.betas);
        atom_out = next(m.hidden), constants = next(s), scale = next(1);
        mask = next(w);
        radii = next(s), chi = next(s), contacts = next(s), depths = next(s);
    }

    // Rows of `heads`.
    static int64_t outputs(const Model& m) {
        return (m.betas ? 2 * m.width : 0) + m.hidden + 2 * m.flow;
    }

    Layer<T> layer(int64_t i) const {
        const int64_t w = width;
        T* at = layers + i * (4 * w * w + 4 * w);
        return {at, at + 3 * w * w, at + 3 * w * w + 3 * w, at + 4 * w * w + 3 * w};
    }
};

// Transposes of the matrices that rows are multiplied with on the way forward.
template <class T>
struct Transposed {
    T *mix, *layers, *heads;
    int64_t width;

    Transposed(const Model& m) : mix(static_cast<T*>(m.transposed)), width(m.width) {
        layers = mix + width * width;
        heads = layers + m.depth * 4 * width * width;
    }
    T* qkv(int64_t i) const { return layers + i * 4 * width * width; }
    T* out(int64_t i) const { return qkv(i) + 3 * width * width; }
};

template <class T>
void prepare(const Model& m) {
    const Weights<T> from(m, static_cast<T*>(const_cast<void*>(m.weights)));
    const Transposed<T> to(m);
    const int64_t w = m.width;
    transpose(from.mix, w, w, to.mix);
    for (int64_t i = 0; i < m.depth; i++) {
        transpose(from.layer(i).qkv, 3 * w, w, to.qkv(i));
        transpose(from.layer(i).out, w, w, to.out(i));
    }
    transpose(from.heads, Weights<T>::outputs(m), w, to.heads);
}

}  // namespace PHYSML_KIND
