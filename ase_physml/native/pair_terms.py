"""Energies that are read off the atoms: of pairs (Eqs 5 and 6), and of each atom."""

from ase_physml.native.arithmetic import (
    Array,
    clip,
    exp,
    log,
    loops,
    sigmoid,
    softplus,
)
from ase_physml.native.edges import Pairs
from ase_physml.native.weights import Weights

COULOMB = 14.399645
BLOCK = 32
"""Pairs whose hidden features stay in the cache."""


@loops
def pair_energies(
    count: int,
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
    for p in range(count):
        d = distance[p]
        turn = 1.0 - 2.0 * sigmoid(-2.0 * r0[p])  # tanh
        strength, by_strength = softplus(r1[p]), sigmoid(r1[p])
        depth, by_depth = softplus(r2[p]), sigmoid(r2[p])
        share = sigmoid(r3[p])
        bend = 1.0 - 2.0 * sigmoid(-2.0 * r4[p])
        soft = 0.3 + 0.05 * softplus((d - 0.3) / 0.05)
        by_soft = sigmoid((d - 0.3) / 0.05)
        ratio = log(radii[p]) + 0.5 * bend - log(soft)
        exponent = 1.0 + 11.0 * share
        steep = exponent * ratio
        capped = clip(steep, -600.0, 8.0)
        grown = exp(capped)
        rise = 2.0 * (grown - 1.0) * grown
        well = (grown - 1.0) ** 2 - 1.0 + rise * (steep - capped)
        t = clip(4.0 * d / cutoff - 3.0, 0.0, 1.0)
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
        r3[p] = fade * depth * rise * ratio * 11.0 * share * (1.0 - share)
        r4[p] = fade * depth * rise * exponent * 0.5 * (1.0 - bend * bend)


@loops
def pair_terms(
    hidden: Array,
    grown: Array,
    weights: Weights,
    species: Array,
    pairs: Pairs,
    cutoff: float,
    rise: Array,
    block: Array,
    by_hidden: Array,
    slope: Array,
    energies: Array,
) -> None:
    """Add energies of pairs to their atoms, and gradients of them.

    Args:
        hidden: First layer of each atom as first and as second of a pair, (2, A, d).
        grown: exp(-hidden): the product of two is that of a sum.
        weights: Of the last layer.
        species: (A,).
        pairs: All that have an energy.
        cutoff: Distance where it has faded, Å.
        rise: Room, (2, `BLOCK`, d).
        block: Room, (7, `BLOCK`) float64.
        by_hidden: Gradients by ``hidden``, added to.
        slope: Gradients by distances, (P,), overwritten.
        energies: Of atoms, (A,) eV, added to.
    """
    one, most, width = weights.numbers[0], weights.numbers[1], hidden.shape[2]
    w0, w1, w2 = weights.betas[0], weights.betas[1], weights.betas[2]
    w3, w4, bias = weights.betas[3], weights.betas[4], weights.betas_bias
    for begin in range(0, pairs.distance.shape[0], BLOCK):
        count = min(BLOCK, pairs.distance.shape[0] - begin)
        for p in range(count):
            i, j = pairs.atoms[0, begin + p], pairs.atoms[1, begin + p]
            x0 = x1 = x2 = x3 = x4 = one * 0
            a_i, b_i, a_j, b_j = hidden[0, i], hidden[1, i], hidden[0, j], hidden[1, j]
            e_i, f_i, e_j, f_j = grown[0, i], grown[1, i], grown[0, j], grown[1, j]
            up, down = rise[0, p], rise[1, p]
            for c in range(width):
                x, y = a_i[c] + b_j[c], a_j[c] + b_i[c]
                s = one + min(e_i[c] * f_j[c], most)
                t = one + min(e_j[c] * f_i[c], most)
                # The sigmoids of both orders, with one division.
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
            block[0, p], block[1, p] = x0 + bias[0], x1 + bias[1]
            block[2, p], block[3, p] = x2 + bias[2], x3 + bias[3]
            block[4, p] = x4 + bias[4]
            block[5, p] = weights.radii[species[i]] + weights.radii[species[j]]
        end = begin + count
        pair_energies(
            count, block[0], block[1], block[2], block[3], block[4], block[5],
            pairs.distance[begin:end], cutoff, block[6], slope[begin:end],
        )  # fmt: skip
        for p in range(count):
            i, j = pairs.atoms[0, begin + p], pairs.atoms[1, begin + p]
            energies[i] += 0.5 * block[6, p]
            energies[j] += 0.5 * block[6, p]
            x0, x1, x2 = one * block[0, p], one * block[1, p], one * block[2, p]
            x3, x4 = one * block[3, p], one * block[4, p]
            up, down = rise[0, p], rise[1, p]
            a_i, b_i = by_hidden[0, i], by_hidden[1, i]
            a_j, b_j = by_hidden[0, j], by_hidden[1, j]
            for c in range(width):
                t = x0 * w0[c] + x1 * w1[c] + x2 * w2[c] + x3 * w3[c] + x4 * w4[c]
                s, t = t * up[c], t * down[c]
                a_i[c] += s
                b_j[c] += s
                a_j[c] += t
                b_i[c] += t


@loops
def exponentials(x: Array, out: Array) -> float:
    """exp(-x), and the largest |x|."""
    most = 0.0
    for i in range(x.shape[0]):
        row, into = x[i], out[i]
        for c in range(x.shape[1]):
            most = max(most, abs(row[c]))
            into[c] = exp(clip(-row[c], -600.0, 600.0))
    return most


@loops
def atom_terms(hidden: Array, weight: Array, energies: Array) -> None:
    """Add f_atom to energies (A,); its gradient in place of the hidden features."""
    for i in range(hidden.shape[0]):
        row, total = hidden[i], 0.0
        for c in range(row.shape[0]):
            x = row[c]
            s = sigmoid(x)
            total += weight[c] * x * s
            row[c] = weight[c] * (s + x * s * (1.0 - s))
        energies[i] += total
