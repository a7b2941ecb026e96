// Charges of atoms, and what they do at a distance (models/physml/coulomb.py).
#pragma once

#include "pair_terms.hpp"

namespace PHYSML_KIND {

constexpr double CHARGE_WIDTH = 0.6;  // in covalent radii
constexpr double FAR = 6.0;           // erf is 1 from there on

// Flow phi (s (chi_j - chi_i) + u_i w_j - w_i u_j) of each near pair, (K).
template <class T>
struct Flows {
    double *given, *phi, *by_d;  // flow over phi, phi, its slope
    int64_t offset;              // of u in rows of the heads; w follows
};

template <class T>
Flows<T> charges_of(const Model& m, const Batch& batch, const Weights<T>& weights,
                    const Pairs& pairs, const Edges<T>& edges, const T* hidden) {
    const int64_t o = Weights<T>::outputs(m), k = edges.near;
    Flows<T> flows{take<double>(k), take<double>(k), take<double>(k), o - 2 * m.flow};
    for (int64_t n = 0; n < k; n++) {
        const int32_t i = pairs.first[edges.pair[n]], j = pairs.second[edges.pair[n]];
        const double angle = PI / m.cutoff * pairs.distance[edges.pair[n]];
        const T *u_i = hidden + i * o + flows.offset, *u_j = hidden + j * o + flows.offset;
        Lanes<T> sum(T(0));
        for (int64_t c = 0; c < m.flow; c += GROUP)
            sum += Lanes<T>(u_i + c) * Lanes<T>(u_j + m.flow + c) -
                   Lanes<T>(u_i + m.flow + c) * Lanes<T>(u_j + c);
        const T taken = weights.chi[batch.species[j]] - weights.chi[batch.species[i]];
        flows.given[n] = double(weights.scale[0] * taken + sum.sum());
        flows.phi[n] = 0.5 * (std::cos(angle) + 1.0);
        flows.by_d[n] = -0.5 * PI / m.cutoff * std::sin(angle);
        batch.charges[i] += flows.phi[n] * flows.given[n];
        batch.charges[j] -= flows.phi[n] * flows.given[n];
    }
    return flows;
}

template <class T, bool LEARNS>
void charges_back(const Model& m, const Batch& batch, const Weights<T>& weights,
                  const Pairs& pairs, const Edges<T>& edges, const Flows<T>& flows,
                  const double* by_charges, const T* hidden, T* by_hidden,
                  double* near_slope, const Weights<T>& by) {
    const int64_t o = Weights<T>::outputs(m), f = m.flow;
    for (int64_t n = 0; n < edges.near; n++) {
        const int32_t i = pairs.first[edges.pair[n]], j = pairs.second[edges.pair[n]];
        const double gained = by_charges[i] - by_charges[j];
        near_slope[n] += gained * flows.given[n] * flows.by_d[n];
        const T given = T(gained * flows.phi[n]);
        if constexpr (LEARNS)
            by.scale[0] += given * (weights.chi[batch.species[j]] -
                                    weights.chi[batch.species[i]]);
        const T *u_i = hidden + i * o + flows.offset, *u_j = hidden + j * o + flows.offset;
        T *by_i = by_hidden + i * o + flows.offset, *by_j = by_hidden + j * o + flows.offset;
        const Lanes<T> plus(given), minus(-given);
        for (int64_t c = 0; c < f; c += GROUP) {
            (plus * Lanes<T>(u_j + f + c)).add_to(by_i + c);
            (minus * Lanes<T>(u_j + c)).add_to(by_i + f + c);
            (minus * Lanes<T>(u_i + f + c)).add_to(by_j + c);
            (plus * Lanes<T>(u_i + c)).add_to(by_j + f + c);
        }
    }
}

// 1/d of Gaussian charges, less the part erf(a d)/d that waves add up; and its slope.
inline double kernel(double d, double width, double splitting, double& slope) {
    double value = 1.0 / d;
    slope = -value / d;
    auto subtract = [&](double x, double sign, double by_d) {  // sign * erf(x) / d
        const double erf = std::erf(x), bell = 2.0 / std::sqrt(PI) * exp(-x * x);
        value += sign * erf / d;
        slope += sign * (bell * by_d - erf / d) / d;
    };
    if (d < FAR * width) {
        value = slope = 0.0;
        subtract(d / width, 1.0, 1.0 / width);
    }
    if (splitting > 0.0) subtract(splitting * d, -1.0, splitting);
    return value;
}

// Add energies of charges in pairs; gradients by them, and by distances.
template <class T>
void coulomb_terms(const Batch& batch, const Weights<T>& weights, const Pairs& pairs,
                   const int32_t* owner, double* by_charges, double* slope) {
    for (int64_t p = 0; p < pairs.count; p++) {
        const int32_t i = pairs.first[p], j = pairs.second[p];
        const double a = weights.radii[batch.species[i]];
        const double b = weights.radii[batch.species[j]];
        const double width = CHARGE_WIDTH * std::sqrt(2.0 * (a * a + b * b));
        const double factor = batch.by_energies ? batch.by_energies[owner[i]] : 1.0;
        const double q = batch.charges[i], other = batch.charges[j];
        double by_d;
        const double k = COULOMB * kernel(pairs.distance[p], width, batch.splitting, by_d);
        batch.energies[i] += 0.5 * k * q * other;
        batch.energies[j] += 0.5 * k * q * other;
        by_charges[i] += factor * k * other;
        by_charges[j] += factor * k * q;
        slope[p] += factor * COULOMB * q * other * by_d;
    }
}

// Ewald's reciprocal sum of each structure: sum_k w_k |S(k)|^2 - a/sqrt(pi) sum q^2.
inline void reciprocal_terms(const Batch& batch, double* by_charges) {
    const double alone = COULOMB * batch.splitting / std::sqrt(PI);
    const double wide = 0.25 / (batch.splitting * batch.splitting);
    for (int64_t m = 0; m < batch.structures; m++) {
        const int64_t first = batch.starts[m], end = batch.starts[m + 1];
        const double factor = batch.by_energies ? batch.by_energies[m] : 1.0;
        double *cosine = take<double>(end - first), *sine = take<double>(end - first);
        for (int64_t k = batch.wave_starts[m]; k < batch.wave_starts[m + 1]; k++) {
            const double *wave = batch.waves + 4 * k, weight = wave[3];
            double real = 0.0, imaginary = 0.0;
            for (int64_t i = first; i < end; i++) {
                const double* r = batch.positions + 3 * i;
                const double phase = wave[0] * r[0] + wave[1] * r[1] + wave[2] * r[2];
                cosine[i - first] = std::cos(phase);
                sine[i - first] = std::sin(phase);
                real += batch.charges[i] * cosine[i - first];
                imaginary += batch.charges[i] * sine[i - first];
            }
            for (int64_t i = first; i < end; i++) {
                const double c = cosine[i - first], s = sine[i - first];
                const double field = weight * (c * real + s * imaginary);
                const double pull = 2.0 * weight * (s * real - c * imaginary);
                batch.energies[i] += batch.charges[i] * field;
                by_charges[i] += 2.0 * factor * field;
                for (int x = 0; x < 3; x++)
                    batch.forces[3 * i + x] += factor * batch.charges[i] * pull * wave[x];
            }
            const double energy = factor * weight * (real * real + imaginary * imaginary);
            const double squared = square(wave[0]) + square(wave[1]) + square(wave[2]);
            for (int x = 0; x < 3; x++) {
                batch.strain[9 * m + 4 * x] -= energy;
                for (int y = 0; y < 3; y++)
                    batch.strain[9 * m + 3 * x + y] +=
                        2.0 * energy * wave[x] * wave[y] * (1.0 / squared + wide);
            }
        }
        for (int64_t i = first; i < end; i++) {
            const double q = batch.charges[i];
            batch.energies[i] -= alone * q * q;
            by_charges[i] -= 2.0 * factor * alone * q;
        }
    }
}

}  // namespace PHYSML_KIND
