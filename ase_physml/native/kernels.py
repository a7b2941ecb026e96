"""PhysML's energy and its gradient as loops, compiled by numba.

Equations are those of `models.physml`, in the same order; the gradient goes back over
them. Features have the dtype of the weights, geometry and energies are float64. Loops
run over channels, which is what vector units are for. Memory is linear in atoms, edges
and pairs, and of the latter two it takes some numbers each, never features.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numba.core.compiler import Compiler

Array = Any

MAGIC = 1.5 * 2.0**52  # a whole number added to it is in its last bits
LOG2_E, LN2 = 1.4426950408889634, 0.6931471805599453
HALF_BITS = 0x3FE6A09E667F3BCD  # of the square root of 1/2
COULOMB = 14.399645
EPSILON = 1e-5  # of LayerNorm
TINY = 1e-16  # as in `graph.interface`
BLOCK = 32  # pairs whose hidden features stay in the cache


class _Distinct(Compiler):
    """Arrays that a function is given do not overlap, or loops would not vectorise."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.state.flags.noalias = True


_OPTIONS = {"nogil": True, "fastmath": True, "error_model": "numpy"}
_ALONE = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_inline = njit(**_OPTIONS, **_ALONE, forceinline=True)
_loops = njit(**_OPTIONS, **_ALONE, pipeline_class=_Distinct)


class Weights(NamedTuple):
    """Weights of a PhysML; those of LayerNorm are folded into what follows it.

    Attributes:
        base: Element features behind `combine`, (S, d).
        own: Element features as neighbours see them, (S, d).
        mix: `neighbour_mix` and `combine` as one, (d, d).
        mix_back: Its transpose, as all that end so.
        qkv: Queries, keys and values, (L, 3, d, d).
        qkv_back: Transposes.
        qkv_bias: (L, 3, d).
        out: Output of the heads, (L, d, d).
        out_back: Transposes.
        out_bias: (L, d).
        pair: First layers of pairs, of the first atom and the second, (2, d, d).
        pair_back: Transposes.
        pair_bias: (2, d).
        betas: Last layer of pairs, (5, d), halved: the mean over both orders.
        betas_bias: (5,), with what their numbers start from.
        atom: First layer of the atoms' head, (d, h).
        atom_back: Its transpose.
        atom_bias: (h,).
        atom_out: Last layer of the atoms' head, (h,).
        constants: Energies of elements, (S,).
        radii: Covalent radii, (S,) Å.
        curves: Of `curves_of`, (S, 2L + 1, nodes * 3, d).
        numbers: 1 and the largest exp(-x) of a SiLU, in the dtype of the weights.
    """

    base: Array
    own: Array
    mix: Array
    mix_back: Array
    qkv: Array
    qkv_back: Array
    qkv_bias: Array
    out: Array
    out_back: Array
    out_bias: Array
    pair: Array
    pair_back: Array
    pair_bias: Array
    betas: Array
    betas_bias: Array
    atom: Array
    atom_back: Array
    atom_bias: Array
    atom_out: Array
    constants: Array
    radii: Array
    curves: Array
    numbers: Array


class Edges(NamedTuple):
    """Directed edges, sorted by receiver; the last of each receiver is to itself.

    Attributes:
        species: Rows of the elements, (A,).
        start: First edge of each receiver, (A + 1,).
        sender: Sender of each edge, (E,).
        pair: Near pair of each edge, (E,): the last row of the next two for self edges.
        node: First row of the curves' node before its distance, (K + 1,).
        weight: Of the six rows from there, for value and slope, (K + 1, 12).
    """

    species: Array
    start: Array
    sender: Array
    pair: Array
    node: Array
    weight: Array


class Rows(NamedTuple):
    """Room for the channels of one edge, (d,) each."""

    keys: Array
    keys_slope: Array
    values: Array
    values_slope: Array
    product: Array
    spread: Array


@_inline
def _bits(x: float) -> int:
    return np.float64(x).view(np.int64)


@_inline
def _float(bits: int) -> float:
    return np.int64(bits).view(np.float64)


@_inline
def _exp(x: float) -> float:
    """exp(x) for |x| < 700, in steps that vectorise."""
    n = np.floor(x * LOG2_E + 0.5)
    r = x - n * LN2
    p = 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    return p * _float((_bits(n + MAGIC) + 1023) << 52)


@_inline
def _log(x: float) -> float:
    """ln(x) of a positive number, in steps that vectorise."""
    bits = _bits(x)
    shift = (bits - HALF_BITS) >> 52
    m = _float(bits - (shift << 52))
    s = (m - 1.0) / (m + 1.0)
    q = s * s
    p = 1.0 / 21.0
    p = p * q + 1.0 / 19.0
    p = p * q + 1.0 / 17.0
    p = p * q + 1.0 / 15.0
    p = p * q + 1.0 / 13.0
    p = p * q + 1.0 / 11.0
    p = p * q + 1.0 / 9.0
    p = p * q + 1.0 / 7.0
    p = p * q + 1.0 / 5.0
    p = p * q + 1.0 / 3.0
    p = p * q + 1.0
    return shift * LN2 + 2.0 * s * p


@_inline
def _clip(x: float, low: float, high: float) -> float:
    x = low if x < low else x
    return high if x > high else x


@_inline
def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + _exp(_clip(-x, -600.0, 600.0)))


@_inline
def _softplus(x: float) -> float:
    return (x if x > 0.0 else 0.0) + _log(1.0 + _exp(_clip(-abs(x), -600.0, 0.0)))


@_loops
def _add_product(x: Array, weight: Array, out: Array) -> None:
    """out += x @ weight, of (N, K), (K, M) and (N, M)."""
    n_in, n_out = weight.shape
    for i in range(x.shape[0]):
        row, given = out[i], x[i]
        k = 0
        while k + 4 <= n_in:
            a, b, c, d = given[k], given[k + 1], given[k + 2], given[k + 3]
            w0, w1, w2, w3 = weight[k], weight[k + 1], weight[k + 2], weight[k + 3]
            for j in range(n_out):
                row[j] += a * w0[j] + b * w1[j] + c * w2[j] + d * w3[j]
            k += 4
        while k < n_in:
            a, w0 = given[k], weight[k]
            for j in range(n_out):
                row[j] += a * w0[j]
            k += 1


@_loops
def _normalise(x: Array, out: Array, scale: Array) -> None:
    """LayerNorm of rows, without weights; 1 / sigma of each."""
    width = x.shape[1]
    for i in range(x.shape[0]):
        row, into = x[i], out[i]
        total, square = 0.0, 0.0
        for c in range(width):
            total += row[c]
        mean = total / width
        for c in range(width):
            square += (row[c] - mean) ** 2
        scale[i] = 1.0 / np.sqrt(square / width + EPSILON)
        for c in range(width):
            into[c] = (row[c] - mean) * scale[i]


@_loops
def _normalise_back(by_out: Array, out: Array, scale: Array, by_x: Array) -> None:
    """Gradient by the rows of `_normalise`, added to ``by_x``."""
    width = out.shape[1]
    for i in range(out.shape[0]):
        gradient, row, into = by_out[i], out[i], by_x[i]
        mean, along = 0.0, 0.0
        for c in range(width):
            mean += gradient[c]
            along += gradient[c] * row[c]
        mean /= width
        along /= width
        for c in range(width):
            into[c] += scale[i] * (gradient[c] - mean - row[c] * along)


@_loops
def _interpolations(
    distance: Array, near: Array, step: float, nodes: int, node: Array, weight: Array
) -> None:
    """Of each near pair the first row of its node, and quintic Hermite weights.

    The first six of the weights (K + 1, 12) give the value of a curve, the others its
    slope by the distance. The last row is of self edges: the curve's first node.
    """
    weight[-1] = 0.0
    weight[-1, 0] = 1.0
    node[-1] = 0
    for n in range(near.shape[0]):
        d = distance[near[n]]
        place = d / (1.0 + d) / step
        left = min(int(place), nodes - 2)
        t = place - left
        by = 1.0 / (step * (1.0 + d) ** 2)
        t2, t3, t4 = t * t, t**3, t**4
        t5 = t4 * t
        node[n] = 3 * left
        w = weight[n]
        w[3] = 10.0 * t3 - 15.0 * t4 + 6.0 * t5
        w[0] = 1.0 - w[3]
        w[1] = t - 6.0 * t3 + 8.0 * t4 - 3.0 * t5
        w[2] = 0.5 * t2 - 1.5 * t3 + 1.5 * t4 - 0.5 * t5
        w[4] = -4.0 * t3 + 7.0 * t4 - 3.0 * t5
        w[5] = 0.5 * t3 - t4 + 0.5 * t5
        w[9] = by * (30.0 * t2 - 60.0 * t3 + 30.0 * t4)
        w[6] = -w[9]
        w[7] = by * (1.0 - 18.0 * t2 + 32.0 * t3 - 15.0 * t4)
        w[8] = by * (t - 4.5 * t2 + 6.0 * t3 - 2.5 * t4)
        w[10] = by * (-12.0 * t2 + 28.0 * t3 - 15.0 * t4)
        w[11] = by * (1.5 * t2 - 4.0 * t3 + 2.5 * t4)


@_loops
def _curve(curve: Array, first: int, w: Array, out: Array) -> None:
    """Value of a curve's channels."""
    a, b, c, d, e, f = w[0], w[1], w[2], w[3], w[4], w[5]
    r0, r1, r2 = curve[first], curve[first + 1], curve[first + 2]
    r3, r4, r5 = curve[first + 3], curve[first + 4], curve[first + 5]
    for k in range(out.shape[0]):
        out[k] = a * r0[k] + b * r1[k] + c * r2[k] + d * r3[k] + e * r4[k] + f * r5[k]


@_loops
def _neighbours(
    curves: Array, own: Array, edges: "Edges", d: Array, around: Array
) -> None:
    """Sum of the neighbours' features by receiver (Eq 4), (A, d)."""
    for i in range(around.shape[0]):
        curve, into = curves[edges.species[i], -1], around[i]
        for e in range(edges.start[i], edges.start[i + 1] - 1):
            n = edges.pair[e]
            _curve(curve, edges.node[n], edges.weight[n, :6], d)
            them = own[edges.species[edges.sender[e]]]
            for c in range(d.shape[0]):
                into[c] += d[c] * them[c]


@_loops
def _neighbours_back(
    curves: Array, own: Array, edges: "Edges", d: Array, by: Array, slope: Array
) -> None:
    for i in range(by.shape[0]):
        curve, given = curves[edges.species[i], -1], by[i]
        for e in range(edges.start[i], edges.start[i + 1] - 1):
            n = edges.pair[e]
            _curve(curve, edges.node[n], edges.weight[n, 6:], d)
            them = own[edges.species[edges.sender[e]]]
            total = d[0] * 0
            for c in range(d.shape[0]):
                total += given[c] * d[c] * them[c]
            slope[n] += total


@_loops
def _attend(
    layer: int,
    curves: Array,
    edges: Edges,
    rows: Rows,
    q: Array,
    k: Array,
    v: Array,
    gate: Array,
    rise: Array,
    update: Array,
) -> None:
    """Messages of a block by receiver (A, d); weights (E, H) and their slopes."""
    heads = gate.shape[1]
    width = q.shape[1] // heads
    keys, product, values, spread = rows.keys, rows.product, rows.values, rows.spread
    for i in range(q.shape[0]):
        curve, query = curves[edges.species[i], 2 * layer], q[i]
        for e in range(edges.start[i], edges.start[i + 1]):
            n, key = edges.pair[e], k[edges.sender[e]]
            _curve(curve, edges.node[n], edges.weight[n], keys)
            for c in range(q.shape[1]):
                product[c] = query[c] * key[c] * keys[c]
            for h in range(heads):
                total = product[0] * 0
                for c in range(h * width, (h + 1) * width):
                    total += product[c]
                gate[e, h] = total
    for e in range(gate.shape[0]):
        for h in range(heads):
            logit = gate[e, h]
            s = _sigmoid(logit)
            gate[e, h] = logit * s
            rise[e, h] = s * (1.0 + logit * (1.0 - s))
    for i in range(q.shape[0]):
        curve, into = curves[edges.species[i], 2 * layer + 1], update[i]
        for e in range(edges.start[i], edges.start[i + 1]):
            n, value = edges.pair[e], v[edges.sender[e]]
            _curve(curve, edges.node[n], edges.weight[n], values)
            _spread(gate[e], spread)
            for c in range(q.shape[1]):
                into[c] += spread[c] * value[c] * values[c]


@_loops
def _spread(of_heads: Array, out: Array) -> None:
    """Each head's weight on all its channels."""
    width = out.shape[0] // of_heads.shape[0]
    for h in range(of_heads.shape[0]):
        for c in range(h * width, (h + 1) * width):
            out[c] = of_heads[h]


@_loops
def _attend_back(
    layer: int,
    curves: Array,
    edges: Edges,
    rows: Rows,
    q: Array,
    k: Array,
    v: Array,
    gate: Array,
    rise: Array,
    by_update: Array,
    by_q: Array,
    by_k: Array,
    by_v: Array,
    slope: Array,
) -> None:
    """Gradients by queries, keys, values (A, d), and distances of near pairs (K + 1).

    ``rise`` becomes the gradient by the logits.
    """
    heads = gate.shape[1]
    width = q.shape[1] // heads
    keys, keys_slope, product = rows.keys, rows.keys_slope, rows.product
    values, values_slope, spread = rows.values, rows.values_slope, rows.spread
    for i in range(q.shape[0]):
        key_curve = curves[edges.species[i], 2 * layer]
        value_curve = curves[edges.species[i], 2 * layer + 1]
        given, query, by_query = by_update[i], q[i], by_q[i]
        for e in range(edges.start[i], edges.start[i + 1]):
            j, n = edges.sender[e], edges.pair[e]
            first, weight, by = edges.node[n], edges.weight[n, :6], edges.weight[n, 6:]
            value, by_value = v[j], by_v[j]
            _curve(value_curve, first, weight, values)
            _curve(value_curve, first, by, values_slope)
            _spread(gate[e], spread)
            total = product[0] * 0
            for c in range(q.shape[1]):
                product[c] = given[c] * value[c] * values[c]
                by_value[c] += spread[c] * given[c] * values[c]
                total += spread[c] * given[c] * value[c] * values_slope[c]
            for h in range(heads):
                along = product[0] * 0
                for c in range(h * width, (h + 1) * width):
                    along += product[c]
                rise[e, h] *= along
            key, by_key = k[j], by_k[j]
            _curve(key_curve, first, weight, keys)
            _curve(key_curve, first, by, keys_slope)
            _spread(rise[e], spread)
            for c in range(q.shape[1]):
                by_query[c] += spread[c] * key[c] * keys[c]
                by_key[c] += spread[c] * query[c] * keys[c]
                total += spread[c] * query[c] * key[c] * keys_slope[c]
            slope[n] += total


@_loops
def _pair_energies(
    r0: Array,
    r1: Array,
    r2: Array,
    r3: Array,
    r4: Array,
    radii: Array,
    distance: Array,
    cutoff: float,
    energy: Array,
    slope: Array,
) -> None:
    """Energies of pairs (Eq 5), their slopes, and in place of r0..r4 those by them."""
    for p in range(r0.shape[0]):
        d = distance[p]
        turn = 1.0 - 2.0 * _sigmoid(-2.0 * r0[p])  # tanh
        strength, by_strength = _softplus(r1[p]), _sigmoid(r1[p])
        depth, by_depth = _softplus(r2[p]), _sigmoid(r2[p])
        share = _sigmoid(r3[p])
        bend = 1.0 - 2.0 * _sigmoid(-2.0 * r4[p])
        soft = 0.3 + 0.05 * _softplus((d - 0.3) / 0.05)
        by_soft = _sigmoid((d - 0.3) / 0.05)
        log = _log(radii[p]) + 0.5 * bend - _log(soft)
        exponent = 1.0 + 11.0 * share
        steep = exponent * log
        capped = _clip(steep, -600.0, 8.0)
        grown = _exp(capped)
        rise = 2.0 * (grown - 1.0) * grown
        well = (grown - 1.0) ** 2 - 1.0 + rise * (steep - capped)
        t = _clip(4.0 * d / cutoff - 3.0, 0.0, 1.0)
        fade = 1.0 - t**3 * (10.0 - 15.0 * t + 6.0 * t * t)
        by_fade = -30.0 * (t * (1.0 - t)) ** 2 * 4.0 / cutoff
        over = COULOMB / soft
        both = depth * well - over * turn * strength
        energy[p] = both * fade
        slope[p] = both * by_fade + fade * by_soft / soft * (
            over * turn * strength - depth * rise * exponent
        )
        r0[p] = -fade * over * (1.0 - turn * turn) * strength
        r1[p] = -fade * over * turn * by_strength
        r2[p] = fade * well * by_depth
        r3[p] = fade * depth * rise * log * 11.0 * share * (1.0 - share)
        r4[p] = fade * depth * rise * exponent * 0.5 * (1.0 - bend * bend)


@_loops
def _pair_terms(
    a: Array,
    b: Array,
    grown_a: Array,
    grown_b: Array,
    weights: Weights,
    species: Array,
    first: Array,
    second: Array,
    distance: Array,
    cutoff: float,
    by_a: Array,
    by_b: Array,
    slope: Array,
    energies: Array,
) -> None:
    """Add energies of pairs to their atoms; gradients by features and distances.

    Args:
        a: First layer of each atom as first of a pair, (A, d).
        b: The same as second.
        grown_a: exp(-a): a product of two is that of a sum.
        grown_b: exp(-b).
        weights: Of the last layer.
        species: (A,).
        first: First atom of each pair, (P,).
        second: Second atom.
        distance: (P,) Å.
        cutoff: Å, where the terms have faded.
        by_a: Gradients, added to.
        by_b: Gradients, added to.
        slope: Of each pair, (P,), overwritten.
        energies: Of atoms, (A,) eV, added to.
    """
    width = a.shape[1]
    one, most = weights.numbers[0], weights.numbers[1]
    w0, w1, w2 = weights.betas[0], weights.betas[1], weights.betas[2]
    w3, w4, bias = weights.betas[3], weights.betas[4], weights.betas_bias
    rise, rise_back = np.empty((BLOCK, width), a.dtype), np.empty((BLOCK, width), a.dtype)
    r0, r1, r2 = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    r3, r4 = np.empty(BLOCK), np.empty(BLOCK)
    radii, energy = np.empty(BLOCK), np.empty(BLOCK)
    for begin in range(0, first.shape[0], BLOCK):
        count = min(BLOCK, first.shape[0] - begin)
        for p in range(count):
            i, j = first[begin + p], second[begin + p]
            x0 = x1 = x2 = x3 = x4 = one * 0
            a_i, b_i, a_j, b_j = a[i], b[i], a[j], b[j]
            e_i, f_i, e_j, f_j = grown_a[i], grown_b[i], grown_a[j], grown_b[j]
            up, down = rise[p], rise_back[p]
            for c in range(width):
                x, y = a_i[c] + b_j[c], a_j[c] + b_i[c]
                s = one + min(e_i[c] * f_j[c], most)
                t = one + min(e_j[c] * f_i[c], most)
                both = one / (s * t)
                s, t = both * t, both * s
                value = x * s + y * t
                up[c] = s + x * s * (one - s)
                down[c] = t + y * t * (one - t)
                x0 += w0[c] * value
                x1 += w1[c] * value
                x2 += w2[c] * value
                x3 += w3[c] * value
                x4 += w4[c] * value
            r0[p], r1[p], r2[p] = x0 + bias[0], x1 + bias[1], x2 + bias[2]
            r3[p], r4[p] = x3 + bias[3], x4 + bias[4]
            radii[p] = weights.radii[species[i]] + weights.radii[species[j]]
        for p in range(count, BLOCK):
            r0[p] = r1[p] = r2[p] = r3[p] = r4[p] = 0.0
            radii[p] = 1.0
        end = begin + count
        _pair_energies(
            r0[:count], r1[:count], r2[:count], r3[:count], r4[:count], radii[:count],
            distance[begin:end], cutoff, energy[:count], slope[begin:end],
        )  # fmt: skip
        for p in range(count):
            i, j = first[begin + p], second[begin + p]
            energies[i] += 0.5 * energy[p]
            energies[j] += 0.5 * energy[p]
            x0, x1, x2 = one * r0[p], one * r1[p], one * r2[p]
            x3, x4 = one * r3[p], one * r4[p]
            a_i, b_i, a_j, b_j = by_a[i], by_b[i], by_a[j], by_b[j]
            up, down = rise[p], rise_back[p]
            for c in range(width):
                t = x0 * w0[c] + x1 * w1[c] + x2 * w2[c] + x3 * w3[c] + x4 * w4[c]
                s, t = t * up[c], t * down[c]
                a_i[c] += s
                b_j[c] += s
                a_j[c] += t
                b_i[c] += t


@_loops
def _exponentials(x: Array, out: Array) -> float:
    """exp(-x), and the largest |x|."""
    most = 0.0
    for i in range(x.shape[0]):
        row, into = x[i], out[i]
        for c in range(x.shape[1]):
            most = max(most, abs(row[c]))
            into[c] = _exp(_clip(-row[c], -600.0, 600.0))
    return most


@_loops
def _atom_terms(
    hidden: Array, weight: Array, energies: Array
) -> None:
    """Add f_atom to energies (A,); its gradient in place of the hidden features."""
    for i in range(hidden.shape[0]):
        row, total = hidden[i], 0.0
        for c in range(row.shape[0]):
            x = row[c]
            s = _sigmoid(x)
            total += weight[c] * x * s
            row[c] = weight[c] * (s + x * s * (1.0 - s))
        energies[i] += total


@_loops
def _all_pairs(positions: Array, starts: Array, reach: float) -> Array:
    """Pairs i < j of each molecule within reach, (2, P)."""
    found = np.empty((2, 0), np.int64)
    for again in range(2):
        count = 0
        for m in range(starts.shape[0] - 1):
            for i in range(starts[m], starts[m + 1]):
                for j in range(i + 1, starts[m + 1]):
                    square = 0.0
                    for x in range(3):
                        square += (positions[j, x] - positions[i, x]) ** 2
                    if square < reach * reach:
                        if again:
                            found[0, count], found[1, count] = i, j
                        count += 1
        if not again:
            found = np.empty((2, count), np.int64)
    return found


@_loops
def _edges(
    species: Array,
    pairs: Array,
    distance: Array,
    cutoff: float,
    step: float,
    curves: Array,
) -> tuple[Array, Edges]:
    """Pairs within the cutoff, (K,), and their edges."""
    n_atoms, n_near = species.shape[0], 0
    near = np.empty(distance.shape[0], np.int64)
    start = np.zeros(n_atoms + 1, np.int64)
    for p in range(distance.shape[0]):
        if distance[p] < cutoff:
            near[n_near] = p
            n_near += 1
            start[pairs[0, p] + 1] += 1
            start[pairs[1, p] + 1] += 1
    for i in range(n_atoms):
        start[i + 1] += start[i] + 1
    place = start[:-1].copy()
    sender, pair = np.empty(start[-1], np.int64), np.empty(start[-1], np.int64)
    for n in range(n_near):
        i, j = pairs[0, near[n]], pairs[1, near[n]]
        sender[place[i]], pair[place[i]] = j, n
        place[i] += 1
        sender[place[j]], pair[place[j]] = i, n
        place[j] += 1
    for i in range(n_atoms):
        sender[place[i]], pair[place[i]] = i, n_near
    node = np.empty(n_near + 1, np.int64)
    weight = np.empty((n_near + 1, 12), curves.dtype)
    nodes = curves.shape[2] // 3
    _interpolations(distance, near[:n_near], step, nodes, node, weight)
    return near[:n_near], Edges(species, start, sender, pair, node, weight)


@_loops
def _unlinked(edges: Edges, starts: Array) -> int:
    """Place in its molecule of an atom that no chain of edges links to the first."""
    n_atoms = edges.species.shape[0]
    reached, stack = np.zeros(n_atoms, np.bool_), np.empty(n_atoms, np.int64)
    for m in range(starts.shape[0] - 1):
        if starts[m] == starts[m + 1]:
            continue
        stack[0], height = starts[m], 1
        reached[starts[m]] = True
        while height:
            height -= 1
            i = stack[height]
            for e in range(edges.start[i], edges.start[i + 1]):
                j = edges.sender[e]
                if not reached[j]:
                    reached[j] = True
                    stack[height] = j
                    height += 1
        for i in range(starts[m], starts[m + 1]):
            if not reached[i]:
                return i - starts[m]
    return -1


@_loops
def _forces(
    pairs: Array,
    vector: Array,
    distance: Array,
    slope: Array,
    owner: Array,
    forces: Array,
    strain: Array,
) -> None:
    """Add forces (A, 3) and gradients by strain (M, 3, 3) of slopes by distances."""
    for p in range(distance.shape[0]):
        i, j = pairs[0, p], pairs[1, p]
        along = slope[p] / distance[p]
        for x in range(3):
            force = along * vector[p, x]
            forces[i, x] += force
            forces[j, x] -= force
            for y in range(3):
                strain[owner[i], x, y] += force * vector[p, y]


@njit(cache=True, **_OPTIONS)
def evaluate(
    weights: Weights,
    heads: int,
    terms: tuple[bool, bool],
    cutoffs: tuple[float, float, float],
    step: float,
    species: Array,
    starts: Array,
    positions: Array,
    pairs: Array,
    shifts: Array,
    listed: bool,
) -> tuple[Array, Array, Array, Array]:
    """Energies and their gradient.

    Args:
        weights: Of the model.
        heads: Attention heads.
        terms: Whether the model has atoms' terms, and pairs'.
        cutoffs: Of attention, of pairs that are listed, and where pair terms end, Å.
        step: Spacing of the curves' nodes.
        species: Rows of the elements, (A,).
        starts: First atom of each structure, and the end, (M + 1,).
        positions: (A, 3) Å.
        pairs: Atoms of each pair, (2, P).
        shifts: Translations of the second atom, (P, 3) Å.
        listed: Whether there are pairs; if not, they are those of molecules.

    Returns:
        Energies (A,) eV without the reference, forces (A, 3) eV/Å, gradients by strain
        (M, 3, 3) eV, and four numbers: the shortest distance, the pair that has it, the
        place of an atom in a part of its own or -1, the largest hidden feature.
    """
    attend, reach, fade = cutoffs
    if not listed:
        pairs = _all_pairs(positions, starts, reach)
    n_pairs, n_atoms = pairs.shape[1], species.shape[0]
    vector, distance = np.empty((n_pairs, 3)), np.empty(n_pairs)
    said = np.array([np.inf, -1.0, -1.0, 0.0])
    for p in range(n_pairs):
        square = TINY
        for x in range(3):
            step_x = positions[pairs[1, p], x] - positions[pairs[0, p], x]
            vector[p, x] = step_x + shifts[p, x] if listed else step_x
            square += vector[p, x] ** 2
        distance[p] = np.sqrt(square)
        if distance[p] < said[0]:
            said[0], said[1] = distance[p], p
    near, edges = _edges(species, pairs, distance, attend, step, weights.curves)
    said[2] = _unlinked(edges, starts)

    depth, width = weights.out.shape[0], weights.base.shape[1]
    like = weights.base.dtype
    rows = Rows(
        np.empty(width, like), np.empty(width, like), np.empty(width, like),
        np.empty(width, like), np.empty(width, like), np.empty(width, like),
    )  # fmt: skip
    slope, near_slope = np.zeros(n_pairs), np.zeros(near.shape[0] + 1)
    energies = np.empty(n_atoms)
    x, back = np.empty((n_atoms, width), like), np.zeros((n_atoms, width), like)
    for i in range(n_atoms):
        energies[i] = weights.constants[species[i]]
        x[i] = weights.base[species[i]]
    work = np.zeros((n_atoms, width), like)
    _neighbours(weights.curves, weights.own, edges, rows.keys, work)
    _add_product(work, weights.mix, x)
    hat, scale = np.empty((depth + 1, n_atoms, width), like), np.empty((depth + 1, n_atoms))
    qkv = np.empty((depth, 3, n_atoms, width), like)
    gate = np.empty((depth, edges.sender.shape[0], heads))
    rise = np.empty_like(gate)
    for l in range(depth):
        _normalise(x, hat[l], scale[l])
        for part in range(3):
            qkv[l, part] = weights.qkv_bias[l, part]
            _add_product(hat[l], weights.qkv[l, part], qkv[l, part])
        work[:] = 0
        _attend(
            l, weights.curves, edges, rows, qkv[l, 0], qkv[l, 1], qkv[l, 2],
            gate[l], rise[l], work,
        )  # fmt: skip
        x += weights.out_bias[l]
        _add_product(work, weights.out[l], x)
    _normalise(x, hat[depth], scale[depth])

    by_hat = np.zeros((n_atoms, width), like)
    if terms[0]:
        hidden = np.empty((n_atoms, weights.atom.shape[1]), like)
        hidden[:] = weights.atom_bias
        _add_product(hat[depth], weights.atom, hidden)
        _atom_terms(hidden, weights.atom_out, energies)
        _add_product(hidden, weights.atom_back, by_hat)
    by_qkv = np.empty((3, n_atoms, width), like)
    if terms[1]:
        pair, grown = np.empty((2, n_atoms, width), like), np.empty((2, n_atoms, width), like)
        for part in range(2):
            pair[part] = weights.pair_bias[part]
            _add_product(hat[depth], weights.pair[part], pair[part])
            said[3] = max(said[3], _exponentials(pair[part], grown[part]))
        by_qkv[:] = 0
        _pair_terms(
            pair[0], pair[1], grown[0], grown[1], weights, species, pairs[0], pairs[1],
            distance, fade, by_qkv[0], by_qkv[1], slope, energies,
        )  # fmt: skip
        for part in range(2):
            _add_product(by_qkv[part], weights.pair_back[part], by_hat)

    _normalise_back(by_hat, hat[depth], scale[depth], back)
    for l in range(depth - 1, -1, -1):
        work[:] = 0
        _add_product(back, weights.out_back[l], work)
        by_qkv[:] = 0
        _attend_back(
            l, weights.curves, edges, rows, qkv[l, 0], qkv[l, 1], qkv[l, 2],
            gate[l], rise[l], work, by_qkv[0], by_qkv[1], by_qkv[2], near_slope,
        )  # fmt: skip
        by_hat[:] = 0
        for part in range(3):
            _add_product(by_qkv[part], weights.qkv_back[l, part], by_hat)
        _normalise_back(by_hat, hat[l], scale[l], back)
    work[:] = 0
    _add_product(back, weights.mix_back, work)
    _neighbours_back(weights.curves, weights.own, edges, rows.keys, work, near_slope)
    for n in range(near.shape[0]):
        slope[near[n]] += near_slope[n]

    owner = np.empty(n_atoms, np.int64)
    for m in range(starts.shape[0] - 1):
        owner[starts[m] : starts[m + 1]] = m
    forces, strain = np.zeros((n_atoms, 3)), np.zeros((starts.shape[0] - 1, 3, 3))
    _forces(pairs, vector, distance, slope, owner, forces, strain)
    return energies, forces, strain, said
