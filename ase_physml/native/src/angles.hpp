// Sums over neighbours with their directions, whose squares know angles
// (`DirectedHeads` of models/physml/attention.py).
#pragma once

#include "geometry.hpp"

namespace PHYSML_KIND {

constexpr int MOMENTS = 9;  // x y z, xx yy zz, and xy yz zx times the root of two
constexpr double ROOT = 1.41421356237309504880;

// Of a near pair.
template <class T>
struct Direction {
    T unit[3];    // from the first to the second atom
    T phi, by_d;  // envelope, which is not in the stored weights, and its slope
};

template <class T>
Direction<T>* directions(const Model& m, const Pairs& pairs, const Edges<T>& edges) {
    Direction<T>* found = take<Direction<T>>(edges.near);
    for (int64_t n = 0; n < edges.near; n++) {
        const int64_t p = edges.pair[n];
        for (int x = 0; x < 3; x++)
            found[n].unit[x] = T(pairs.vector[3 * p + x] / pairs.distance[p]);
        const double rate = PI / m.cutoff, angle = rate * pairs.distance[p];
        found[n].phi = T(0.5 * (std::cos(angle) + 1.0));
        found[n].by_d = T(-0.5 * rate * std::sin(angle));
    }
    return found;
}

// Channels D of what atoms send, and the lanes of a period of heads that weigh them.
struct Directed {
    int64_t channels, period, row;  // and numbers from one atom's to the next one's

    int64_t moments() const { return MOMENTS * channels; }
};

// Add moments of directions, times weight and what was sent, to receivers: (A, 9, D).
template <class T>
void gather(const Directed& d, const Edges<T>& edges, const Direction<T>* directions,
            const T* gate, const T* sent, T* sums) {
    for (int64_t e = 0; e < 2 * edges.near; e++) {
        const int32_t i = edges.receiver[e], j = edges.sender[e];
        const Direction<T>& to_j = directions[edges.of_near[e]];
        const T *u = to_j.unit, sign = edges.sign[e];
        const Same<T> phi(to_j.phi), factors[MOMENTS] = {
            sign * u[0], sign * u[1], sign * u[2], u[0] * u[0], u[1] * u[1], u[2] * u[2],
            T(ROOT) * u[0] * u[1], T(ROOT) * u[1] * u[2], T(ROOT) * u[2] * u[0]};
        for (int64_t c = 0; c < d.channels; c += GROUP) {
            const Lanes<T> weight(gate + e * d.period + c % d.period);
            const Lanes<T> given = phi * (weight * Lanes<T>(sent + j * d.row + c));
            T* to = sums + i * d.moments() + c;
            for (int x = 0; x < MOMENTS; x++)
                (factors[x] * given).add_to(to + x * d.channels);
        }
    }
}

// Squares of moments, added up over those of one order, (A, 2 D).
template <class T>
void square_moments(const Directed& d, int64_t atoms, const T* sums, T* squares) {
    for (int64_t i = 0; i < atoms; i++)
        for (int64_t c = 0; c < d.channels; c += GROUP) {
            Lanes<T> orders[2] = {Lanes<T>(T(0)), Lanes<T>(T(0))};
            for (int x = 0; x < MOMENTS; x++) {
                const Lanes<T> one(sums + i * d.moments() + x * d.channels + c);
                orders[x > 2] += one * one;
            }
            for (int k = 0; k < 2; k++)
                orders[k].store(squares + (2 * i + k) * d.channels + c);
        }
}

// Gradients by moments from those by squares, in place of the moments.
template <class T>
void square_moments_back(const Directed& d, int64_t atoms, const T* by_squares, T* sums) {
    for (int64_t i = 0; i < atoms; i++)
        for (int x = 0; x < MOMENTS; x++)
            for (int64_t c = 0; c < d.channels; c += GROUP) {
                const Lanes<T> by(by_squares + (2 * i + (x > 2)) * d.channels + c);
                T* to = sums + i * d.moments() + x * d.channels + c;
                (Lanes<T>(T(2)) * by * Lanes<T>(static_cast<const T*>(to))).store(to);
            }
}

// Gradients by weights of attention, lane by lane, (E, period), what was sent, and, if
// ``turn`` is there, unit vectors and distances, from those by moments.
template <class T>
void gather_back(const Directed& d, const Edges<T>& edges,
                 const Direction<T>* directions, const T* gate, const T* sent,
                 const T* by_sums, T* by_gate, T* by_sent, double* slope, double* turn) {
    for (int64_t e = 0; e < 2 * edges.near; e++) {
        const int32_t i = edges.receiver[e], j = edges.sender[e], n = edges.of_near[e];
        const T* u = directions[n].unit;
        const Same<T> along[3] = {u[0], u[1], u[2]}, root = T(ROOT);
        const Same<T> sign(edges.sign[e]), phi(directions[n].phi), half = T(0.5), two = T(2);
        const Lanes<T> zero(T(0));
        Lanes<T> turned[3] = {zero, zero, zero}, faded = zero;
        for (int64_t c = 0; c < d.channels; c += GROUP) {
            const T* at = by_sums + i * d.moments() + c;
            auto moment = [&](int x) { return Lanes<T>(at + x * d.channels); };
            const Lanes<T> xy = moment(6), yz = moment(7), zx = moment(8);
            const Lanes<T> second[3] = {  // by the unit vector, of each
                two * (along[0] * moment(3)) + root * (along[1] * xy + along[2] * zx),
                two * (along[1] * moment(4)) + root * (along[0] * xy + along[2] * yz),
                two * (along[2] * moment(5)) + root * (along[1] * yz + along[0] * zx)};
            T* to = by_gate + e * d.period + c % d.period;
            const Lanes<T> weight(gate + e * d.period + c % d.period);
            const Lanes<T> value(sent + j * d.row + c), given = weight * value;
            Lanes<T> by = zero;
            for (int x = 0; x < 3; x++) {
                const Lanes<T> first = sign * moment(x);
                by += along[x] * (first + half * second[x]);
                if (turn) turned[x] += given * (first + second[x]);
            }
            if (turn) faded += by * given;
            by = phi * by;
            (by * value).add_to(to);
            (by * weight).add_to(by_sent + j * d.row + c);
        }
        if (!turn) continue;
        slope[n] += double(directions[n].by_d * faded.sum());
        for (int x = 0; x < 3; x++)
            turn[3 * n + x] += double(directions[n].phi * turned[x].sum());
    }
}

}  // namespace PHYSML_KIND
