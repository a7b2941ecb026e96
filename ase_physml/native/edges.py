"""Pairs of atoms, and the directed edges between near ones."""

from typing import NamedTuple

import numpy as np

from ase_physml.native.arithmetic import Array, entry, inner_loops, loops

TINY = 1e-16  # as in `graph.interface`
NODE = 3  # rows of a curve's node


class Edges(NamedTuple):
    """Directed edges, those with the same piece of a curve together, to itself last.

    Attributes:
        species: Rows of the elements, (A,).
        receiver: Receiver of each edge, (E,).
        sender: Sender of each edge, (E,).
        near: Near pair of each edge, (E,); K for those of atoms to themselves.
        pair: Pair that a near pair is, (K,).
        node: Row of the curves' node before the distance of each near pair; last of no
            distance, (K + 1,).
        value: Weights of the six rows from there for the value, (K + 1, 6).
        slope: The same for the slope by the distance.
        bins: Zeros, for elements and nodes, (S * nodes + 1,).
    """

    species: Array
    receiver: Array
    sender: Array
    near: Array
    pair: Array
    node: Array
    value: Array
    slope: Array
    bins: Array


class Pairs(NamedTuple):
    """Pairs of atoms that carry an energy.

    Attributes:
        atoms: First and second atom of each, (2, P).
        vector: From the first to the second, or its image, (P, 3) Å.
        distance: (P,) Å.
    """

    atoms: Array
    vector: Array
    distance: Array


@loops
def _all_pairs(positions: Array, starts: Array, reach: float, pairs: Pairs) -> int:
    """List pairs i < j of each molecule within reach; how many there are."""
    count = 0
    for m in range(starts.shape[0] - 1):
        for i in range(starts[m], starts[m + 1]):
            for j in range(i + 1, starts[m + 1]):
                x = positions[j, 0] - positions[i, 0]
                y = positions[j, 1] - positions[i, 1]
                z = positions[j, 2] - positions[i, 2]
                square = x * x + y * y + z * z + TINY
                if square < reach * reach:
                    pairs.atoms[0, count] = i
                    pairs.atoms[1, count] = j
                    pairs.vector[count, 0] = x
                    pairs.vector[count, 1] = y
                    pairs.vector[count, 2] = z
                    pairs.distance[count] = np.sqrt(square)
                    count += 1
    return count


@entry
def find_pairs(
    positions: Array,
    starts: Array,
    reach: float,
    cutoff: float,
    listed: bool,
    pairs: Pairs,
) -> tuple[int, int, int]:
    """Fill pairs of molecules, if they are not listed yet, and distances.

    Args:
        positions: (A, 3) Å.
        starts: First atom of each structure, and the end, (M + 1,).
        reach: Distance up to which molecules' atoms are pairs, Å.
        cutoff: Distance up to which pairs are near, Å.
        listed: Whether atoms and vectors of pairs are there.
        pairs: With room for all.

    Returns:
        Pairs, near pairs, and the pair that is nearest, or -1.
    """
    if listed:
        count = pairs.distance.shape[0]
        for p in range(count):
            x, y, z = pairs.vector[p, 0], pairs.vector[p, 1], pairs.vector[p, 2]
            pairs.distance[p] = np.sqrt(x * x + y * y + z * z + TINY)
    else:
        count = _all_pairs(positions, starts, reach, pairs)
    near, nearest, shortest = 0, -1, np.inf
    for p in range(count):
        distance = pairs.distance[p]
        if distance < cutoff:
            near += 1
        if distance < shortest:
            nearest, shortest = p, distance
    return count, near, nearest


@loops
def fill_edges(
    pairs: Pairs, edges: Edges, cutoff: float, step: float, nodes: int
) -> None:
    """Fill all but the elements."""
    bins, count = edges.bins, 0
    for p in range(pairs.distance.shape[0]):
        if pairs.distance[p] < cutoff:
            edges.pair[count] = p
            count += 1
    _interpolate(pairs.distance, step, nodes, edges)
    for n in range(count):
        p, node = edges.pair[n], edges.node[n] // NODE
        for end in range(2):
            bins[edges.species[pairs.atoms[end, p]] * nodes + node + 1] += 1
    for b in range(1, bins.shape[0]):
        bins[b] += bins[b - 1]
    for n in range(count):
        p, node = edges.pair[n], edges.node[n] // NODE
        for end in range(2):
            i, j = pairs.atoms[end, p], pairs.atoms[1 - end, p]
            b = edges.species[i] * nodes + node
            e = bins[b]
            edges.receiver[e], edges.sender[e], edges.near[e] = i, j, n
            bins[b] += 1
    for i in range(edges.species.shape[0]):
        e = 2 * count + i
        edges.receiver[e], edges.sender[e], edges.near[e] = i, i, count


@loops
def _interpolate(distance: Array, step: float, nodes: int, edges: Edges) -> None:
    """Fill nodes, and weights of quintic Hermite polynomials."""
    count = edges.pair.shape[0]
    for k in range(6):
        edges.value[count, k] = edges.slope[count, k] = 0.0
    edges.value[count, 0] = 1.0
    edges.node[count] = 0
    for n in range(count):
        d = distance[edges.pair[n]]
        place = d / (1.0 + d) / step
        left = min(int(place), nodes - 2)
        t = place - left
        by = 1.0 / (step * (1.0 + d) ** 2)
        t2 = t * t
        t3, t4 = t2 * t, t2 * t2
        t5 = t4 * t
        edges.node[n] = NODE * left
        w, v = edges.value[n], edges.slope[n]
        w[3] = 10.0 * t3 - 15.0 * t4 + 6.0 * t5
        w[0] = 1.0 - w[3]
        w[1] = t - 6.0 * t3 + 8.0 * t4 - 3.0 * t5
        w[2] = 0.5 * t2 - 1.5 * t3 + 1.5 * t4 - 0.5 * t5
        w[4] = -4.0 * t3 + 7.0 * t4 - 3.0 * t5
        w[5] = 0.5 * t3 - t4 + 0.5 * t5
        v[3] = by * (30.0 * t2 - 60.0 * t3 + 30.0 * t4)
        v[0] = -v[3]
        v[1] = by * (1.0 - 18.0 * t2 + 32.0 * t3 - 15.0 * t4)
        v[2] = by * (t - 4.5 * t2 + 6.0 * t3 - 2.5 * t4)
        v[4] = by * (-12.0 * t2 + 28.0 * t3 - 15.0 * t4)
        v[5] = by * (1.5 * t2 - 4.0 * t3 + 2.5 * t4)


@inner_loops
def curve(curve: Array, first: int, w: Array, out: Array) -> None:
    """Value of a curve's channels."""
    a, b, c, d, e, f = w[0], w[1], w[2], w[3], w[4], w[5]
    r0, r1, r2 = curve[first], curve[first + 1], curve[first + 2]
    r3, r4, r5 = curve[first + 3], curve[first + 4], curve[first + 5]
    for k in range(out.shape[0]):
        out[k] = a * r0[k] + b * r1[k] + c * r2[k] + d * r3[k] + e * r4[k] + f * r5[k]


@inner_loops
def curve_and_slope(
    nodes: Array, first: int, w: Array, v: Array, out: Array, slope: Array
) -> None:
    """Value and slope of a curve's channels."""
    a, b, c, d, e, f = w[0], w[1], w[2], w[3], w[4], w[5]
    g, h, i, j, m, n = v[0], v[1], v[2], v[3], v[4], v[5]
    r0, r1, r2 = nodes[first], nodes[first + 1], nodes[first + 2]
    r3, r4, r5 = nodes[first + 3], nodes[first + 4], nodes[first + 5]
    for k in range(out.shape[0]):
        x0, x1, x2, x3, x4, x5 = r0[k], r1[k], r2[k], r3[k], r4[k], r5[k]
        out[k] = a * x0 + b * x1 + c * x2 + d * x3 + e * x4 + f * x5
        slope[k] = g * x0 + h * x1 + i * x2 + j * x3 + m * x4 + n * x5


@loops
def unlinked(edges: Edges, starts: Array, parent: Array) -> Array:
    """Place in its molecule of an atom that no chain of edges links to the first.

    Args:
        edges: Of molecules.
        starts: First atom of each molecule, and the end, (M + 1,).
        parent: Of a tree of each part: atoms themselves, (A,).

    Returns:
        That of the first molecule that has one, or -1.
    """
    for e in range(edges.sender.shape[0]):
        i, j = edges.receiver[e], edges.sender[e]
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        while parent[j] != j:
            parent[j] = parent[parent[j]]
            j = parent[j]
        # The smaller one: the first atom of a molecule stays on top.
        if i < j:
            parent[j] = i
        else:
            parent[i] = j
    for m in range(starts.shape[0] - 1):
        for i in range(starts[m], starts[m + 1]):
            top = i
            while parent[top] != top:
                top = parent[top]
            if top != starts[m]:
                return i - starts[m]
    return -1


@loops
def add_forces(
    pairs: Pairs, slope: Array, owner: Array, forces: Array, strain: Array
) -> None:
    """Add forces (A, 3) and gradients by strain (M, 3, 3) of slopes by distances."""
    for p in range(pairs.distance.shape[0]):
        i, j = pairs.atoms[0, p], pairs.atoms[1, p]
        along = slope[p] / pairs.distance[p]
        for x in range(3):
            force = along * pairs.vector[p, x]
            forces[i, x] += force
            forces[j, x] -= force
            for y in range(3):
                strain[owner[i], x, y] += force * pairs.vector[p, y]
