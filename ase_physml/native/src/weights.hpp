// Weights of a model in one array, in the order in which `weights.py` joins them.
#pragma once

#include "model.hpp"
#include "products.hpp"

namespace PHYSML_KIND {

template <class T>
struct Layer {
    T *qkv, *qkv_bias;  // queries, keys, values, and those sent with directions: Q rows
    T *out, *out_bias;  // output of the heads, (W, W) and (W)
    T* squares;         // features from squares of directed sums, (W, 2 D)
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
    int64_t width, sent, directed;

    Weights(const Model& m, T* from)
        : width(m.width), sent(rows(m)), directed(m.directed) {
        auto next = [&from](int64_t count) {
            T* found = from;
            from += count;
            return found;
        };
        const int64_t w = m.width, s = m.species, o = outputs(m);
        base = next(s * w), own = next(s * w), mix = next(w * w);
        layers = next(m.depth * layer_size());
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

    // Rows Q of `qkv`.
    static int64_t rows(const Model& m) { return 3 * m.width + m.directed; }

    Layer<T> layer(int64_t i) const {
        T *qkv = layers + i * layer_size(), *bias = qkv + sent * width;
        T *out = bias + sent, *out_bias = out + width * width;
        return {qkv, bias, out, out_bias, out_bias + width};
    }

  private:
    int64_t layer_size() const {
        return (sent + width + 2 * directed) * width + sent + width;
    }
};

// Transposes of the matrices that rows are multiplied with on the way forward.
template <class T>
struct Transposed {
    T *mix, *layers, *heads;
    int64_t width, sent, directed;

    Transposed(const Model& m)
        : mix(static_cast<T*>(m.transposed)), width(m.width),
          sent(Weights<T>::rows(m)), directed(m.directed) {
        layers = mix + width * width;
        heads = qkv(m.depth);
    }
    T* qkv(int64_t i) const {
        return layers + i * width * (sent + width + 2 * directed);
    }
    T* out(int64_t i) const { return qkv(i) + sent * width; }
    T* squares(int64_t i) const { return out(i) + width * width; }
};

template <class T>
void prepare(const Model& m) {
    const Weights<T> from(m, static_cast<T*>(const_cast<void*>(m.weights)));
    const Transposed<T> to(m);
    const int64_t w = m.width;
    transpose(from.mix, w, w, to.mix);
    for (int64_t i = 0; i < m.depth; i++) {
        transpose(from.layer(i).qkv, Weights<T>::rows(m), w, to.qkv(i));
        transpose(from.layer(i).out, w, w, to.out(i));
        transpose(from.layer(i).squares, w, 2 * m.directed, to.squares(i));
    }
    transpose(from.heads, Weights<T>::outputs(m), w, to.heads);
}

}  // namespace PHYSML_KIND
