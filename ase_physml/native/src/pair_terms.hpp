// Energies that are read off the features: of pairs (Eqs 5 and 6), and of each atom.
#pragma once

#include "geometry.hpp"
#include "weights.hpp"

namespace PHYSML_KIND {

constexpr double COULOMB = 14.399645;  // e^2 / (4 pi eps0) in eV Å
// As in models/physml/pair_energy.py.
constexpr double SOFT_START = 0.3, SOFT_WIDTH = 0.05, STEEPEST = 8.0;
constexpr double BONDED = 0.65, LOOSE = 0.9, DEPTH = 0.05, EXPONENT = 6.0;
constexpr double MOST = 1e15;  // exp(-x) from which on SiLU(x) is zero

using Real = Lanes<double>;

// Fall from 1 to 0 over t in (0, 1), and its slope by t.
inline Real fall(const Real& t, Real& by_t) {
    const Real one(1.0), back = t * (one - t);
    by_t = Real(-30.0) * back * back;
    return one - t * t * t * (Real(10.0) - Real(15.0) * t + Real(6.0) * t * t);
}

// A block of sixteen pairs: distances and what depends on the elements in, energies,
// slopes by the distance and gradients by the numbers r of the last layer out.
struct Block {
    double d[GROUP], bond[GROUP], contact[GROUP], dispersion[GROUP];
    double r[5][GROUP], energy[GROUP], slope[GROUP];
};

// The well (e^s - 1)^2 - 1, continued by its tangent, and its slope.
inline Real well_of(const Real& steep, Real& rise) {
    const Real one(1.0), capped = clip(steep, -600.0, STEEPEST), grown = exp(capped);
    rise = Real(2.0) * (grown - one) * grown;
    return (grown - one) * (grown - one) - one + rise * (steep - capped);
}

// The paper's terms (Eq 5), charge products free for each pair.
inline void paper_terms(Block& b, const Real& soft, const Real& by_soft,
                        const Real& fade, const Real& by_fade) {
    const Real one(1.0), two(2.0), half(0.5), eleven(11.0);
    const Real r1(b.r[1]), r2(b.r[2]);
    const Real turn = one - two * sigmoid(Real(-2.0) * Real(b.r[0]));  // tanh
    const Real bend = one - two * sigmoid(Real(-2.0) * Real(b.r[4]));
    const Real strength = softplus(r1), depth = softplus(r2), share = sigmoid(Real(b.r[3]));
    const Real ratio = log(Real(b.bond)) + half * bend - log(soft);
    const Real exponent = one + eleven * share;
    Real rise;
    const Real well = well_of(exponent * ratio, rise), over = Real(COULOMB) / soft;
    const Real both = depth * well - over * turn * strength, none(0.0);
    (both * fade).store(b.energy);
    (both * by_fade + fade * by_soft / soft *
                          (over * turn * strength - depth * rise * exponent))
        .store(b.slope);
    (none - fade * over * (one - turn * turn) * strength).store(b.r[0]);
    (none - fade * over * turn * sigmoid(r1)).store(b.r[1]);
    (fade * well * sigmoid(r2)).store(b.r[2]);
    (fade * depth * rise * ratio * eleven * share * (one - share)).store(b.r[3]);
    (fade * depth * rise * exponent * half * (one - bend * bend)).store(b.r[4]);
}

// Wells that start at chemistry; charges are in charges.hpp.
inline void physical_terms(Block& b, const Real& soft, const Real& by_soft,
                           const Real& fade, const Real& by_fade) {
    const Real one(1.0), bond(b.bond), contact(b.contact), start(DEPTH);
    const Real width = Real(1.0 / (LOOSE - BONDED)) / contact;
    const Real t = clip(Real(b.d) * width - Real(BONDED / (LOOSE - BONDED)), 0.0, 1.0);
    Real by_t;
    const Real loose = one - fall(t, by_t), by_loose = Real(-1.0) * by_t * width;
    const Real bottom = start + loose * (Real(b.dispersion) - start);
    const Real base = bond + loose * (contact - bond);
    const Real depth_by = clip(Real(b.r[0]), -600.0, 600.0), grown = exp(depth_by);
    const Real exponent = Real(EXPONENT) * exp(clip(Real(b.r[1]), -600.0, 600.0));
    const Real ratio = log(base) + Real(b.r[2]) - log(soft), depth = bottom * grown;
    Real rise;
    const Real well = well_of(exponent * ratio, rise);
    const Real by_base = (contact - bond) * by_loose / base - by_soft / soft;
    (depth * well * fade).store(b.energy);
    (by_fade * depth * well +
     fade * (by_loose * (Real(b.dispersion) - start) * grown * well +
             depth * rise * exponent * by_base))
        .store(b.slope);
    (fade * depth * well).store(b.r[0]);
    (fade * depth * rise * exponent * ratio).store(b.r[1]);
    (fade * depth * rise * exponent).store(b.r[2]);
}

template <int BETAS>
void block_terms(Block& b, double cutoff) {
    const Real d(b.d), x = (d - Real(SOFT_START)) * Real(1.0 / SOFT_WIDTH);
    const Real soft = Real(SOFT_START) + Real(SOFT_WIDTH) * softplus(x);
    const Real t = clip(Real(4.0 / cutoff) * d - Real(3.0), 0.0, 1.0);
    Real by_t;
    const Real fade = fall(t, by_t), by_fade = by_t * Real(4.0 / cutoff);
    if constexpr (BETAS == 5) paper_terms(b, soft, sigmoid(x), fade, by_fade);
    else physical_terms(b, soft, sigmoid(x), fade, by_fade);
}

// exp(-x) of hidden features of pairs, the first 2 W of each row of (A, O); largest |x|.
template <class T>
double exponentials(const T* hidden, int64_t atoms, int64_t outputs, int64_t width,
                    T* grown) {
    const Lanes<T> zero(T(0));
    Lanes<T> most = zero;
    for (int64_t i = 0; i < atoms; i++)
        for (int64_t c = 0; c < 2 * width; c += GROUP) {
            const Lanes<T> x(hidden + i * outputs + c), minus = zero - x;
            most = larger(most, larger(x, minus));
            exp(clip(minus, -LARGEST<T>, LARGEST<T>)).store(grown + i * 2 * width + c);
        }
    T all[GROUP], found = 0;
    most.store(all);
    bool numbers = true;
    for (int k = 0; k < GROUP; k++) {
        found = all[k] > found ? all[k] : found;
        numbers = numbers && all[k] == all[k];
    }
    return numbers ? found : HUGE_VAL;
}

// Add energies of pairs to their atoms, and gradients: by hidden features (A, O),
// distances (P), and weights if LEARNS. ``share`` are factors of structures' energies.
template <class T, int BETAS, bool LEARNS>
void pair_terms(const Model& m, const Batch& batch, const Weights<T>& weights,
                const Pairs& pairs, const int32_t* owner, const T* hidden,
                const T* grown, T* by_hidden, double* slope, const Weights<T>& by) {
    const int64_t w = m.width, o = Weights<T>::outputs(m);
    int32_t* within = take<int32_t>(pairs.count + GROUP);
    int64_t count = 0;
    for (int64_t p = 0; p < pairs.count; p++)
        if (pairs.distance[p] < m.pair_cutoff) within[count++] = static_cast<int32_t>(p);
    T *up = take<T>(GROUP * w), *down = take<T>(GROUP * w), *sum = take<T>(GROUP * w);
    const Lanes<T> one(T(1)), most{T(MOST)};
    Block b;
    for (int64_t begin = 0; begin < count; begin += GROUP) {
        const int size = static_cast<int>(count - begin < GROUP ? count - begin : GROUP);
        for (int p = 0; p < GROUP; p++) {
            const int32_t pair = within[begin + (p < size ? p : 0)];
            const int64_t i = pairs.first[pair], j = pairs.second[pair];
            const int64_t a = batch.species[i], z = batch.species[j];
            b.d[p] = pairs.distance[pair];
            b.bond[p] = double(weights.radii[a]) + double(weights.radii[z]);
            b.contact[p] = double(weights.contacts[a]) + double(weights.contacts[z]);
            b.dispersion[p] = double(weights.depths[a]) * double(weights.depths[z]);
            for (int k = 0; k < BETAS; k++) b.r[k][p] = 0.0;
            if (p >= size) continue;
            const T *a_i = hidden + i * o, *b_i = a_i + w, *e_i = grown + i * 2 * w;
            const T *a_j = hidden + j * o, *b_j = a_j + w, *e_j = grown + j * 2 * w;
            Lanes<T> r[BETAS];
            for (int k = 0; k < BETAS; k++) r[k] = Lanes<T>(T(0));
            for (int64_t c = 0; c < w; c += GROUP) {
                const Lanes<T> x = Lanes<T>(a_i + c) + Lanes<T>(b_j + c);
                const Lanes<T> y = Lanes<T>(a_j + c) + Lanes<T>(b_i + c);
                // The product of two exponentials is that of a sum.
                const Lanes<T> s =
                    one + smaller(Lanes<T>(e_i + c) * Lanes<T>(e_j + w + c), most);
                const Lanes<T> t =
                    one + smaller(Lanes<T>(e_j + c) * Lanes<T>(e_i + w + c), most);
                // The sigmoids of both orders, with one division.
                const Lanes<T> both = one / (s * t), of_x = both * t, of_y = both * s;
                const Lanes<T> value = x * of_x + y * of_y;
                (of_x + x * of_x * (one - of_x)).store(up + p * w + c);
                (of_y + y * of_y * (one - of_y)).store(down + p * w + c);
                if constexpr (LEARNS) value.store(sum + p * w + c);
                for (int k = 0; k < BETAS; k++)
                    r[k] += Lanes<T>(weights.betas + k * w + c) * value;
            }
            for (int k = 0; k < BETAS; k++)
                b.r[k][p] = double(r[k].sum()) + double(weights.betas_bias[k]);
        }
        block_terms<BETAS>(b, m.pair_cutoff);
        for (int p = 0; p < size; p++) {
            const int32_t pair = within[begin + p];
            const int64_t i = pairs.first[pair], j = pairs.second[pair];
            const double factor = batch.by_energies ? batch.by_energies[owner[i]] : 1.0;
            batch.energies[i] += 0.5 * b.energy[p];
            batch.energies[j] += 0.5 * b.energy[p];
            slope[pair] += factor * b.slope[p];
            Lanes<T> r[BETAS];
            for (int k = 0; k < BETAS; k++) {
                r[k] = Lanes<T>(T(factor * b.r[k][p]));
                if constexpr (LEARNS) by.betas_bias[k] += T(factor * b.r[k][p]);
            }
            T *a_i = by_hidden + i * o, *a_j = by_hidden + j * o;
            for (int64_t c = 0; c < w; c += GROUP) {
                Lanes<T> t = r[0] * Lanes<T>(weights.betas + c);
                for (int k = 1; k < BETAS; k++)
                    t += r[k] * Lanes<T>(weights.betas + k * w + c);
                const Lanes<T> by_x = t * Lanes<T>(static_cast<const T*>(up + p * w + c));
                const Lanes<T> by_y = t * Lanes<T>(static_cast<const T*>(down + p * w + c));
                by_x.add_to(a_i + c);
                by_x.add_to(a_j + w + c);
                by_y.add_to(a_j + c);
                by_y.add_to(a_i + w + c);
                if constexpr (LEARNS) {
                    const Lanes<T> value(static_cast<const T*>(sum + p * w + c));
                    for (int k = 0; k < BETAS; k++)
                        (r[k] * value).add_to(by.betas + k * w + c);
                }
            }
        }
    }
}

// Add f_atom to energies; gradients by the hidden features, ``offset`` in rows (A, O).
template <class T, bool LEARNS>
void atom_terms(const Model& m, const Batch& batch, const Weights<T>& weights,
                const int32_t* owner, const T* hidden, int64_t offset, T* by_hidden,
                const Weights<T>& by) {
    const int64_t o = Weights<T>::outputs(m);
    for (int64_t i = 0; i < batch.atoms; i++) {
        const T factor = batch.by_energies ? T(batch.by_energies[owner[i]]) : T(1);
        const T* row = hidden + i * o + offset;
        Lanes<T> total(T(0));
        const Lanes<T> one(T(1)), share(factor);
        for (int64_t c = 0; c < m.hidden; c += GROUP) {
            const Lanes<T> x(row + c), s = sigmoid(x), weight(weights.atom_out + c);
            total += weight * x * s;
            (share * weight * (s + x * s * (one - s)))
                .store(by_hidden + i * o + offset + c);
            if constexpr (LEARNS) (share * x * s).add_to(by.atom_out + c);
        }
        batch.energies[i] += double(total.sum());
    }
}

}  // namespace PHYSML_KIND
