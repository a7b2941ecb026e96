"""Pairs of atoms, and the directed edges between near ones."""

from typing import NamedTuple

import numpy as np
from numba import njit

from ase_physml.native.arithmetic import OPTIONS, Array, loops

TINY = 1e-16  # as in `graph.interface`
NODE = 3  # rows of a curve's node


class Edges(NamedTuple):
    """Directed edges, sorted by receiver; the last of each receiver is to itself.

    Attributes:
        species: Rows of the elements, (A,).
        start: First edge of each receiver, (A + 1,).
        sender: Sender of each edge, (E,).
        near: Near pair of each edge, (E,); K for self edges.
        node: Row of the curves' node before the distance of each near pair, and for
            self edges, (K + 1,).
        weight: Of the six rows from there, for value and slope, (K + 1, 12).
    """

    species: Array
    start: Array
    sender: Array
    near: Array
    node: Array
    weight: Array


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


@njit(cache=True, **OPTIONS)
def find_pairs(
    positions: Array,
    starts: Array,
    reach: float,
    cutoff: float,
    listed: bool,
    pairs: Pairs,
    start: Array,
) -> tuple[int, int, int]:
    """Fill pairs of molecules, if they are not listed yet, and count edges.

    Args:
        positions: (A, 3) Å.
        starts: First atom of each structure, and the end, (M + 1,).
        reach: Distance up to which molecules' atoms are pairs, Å.
        cutoff: The same of edges.
        listed: Whether atoms and vectors of pairs are there.
        pairs: With room for all.
        start: Zeros; becomes `Edges.start`.

    Returns:
        Pairs, near pairs, and the pair that is nearest, or -1.
    """
    if listed:
        count = pairs.distance.shape[0]
        for p in range(count):
            square = TINY
            for x in range(3):
                square += pairs.vector[p, x] * pairs.vector[p, x]
            pairs.distance[p] = np.sqrt(square)
    else:
        count = _all_pairs(positions, starts, reach, pairs)
    near, nearest, shortest = 0, -1, np.inf
    for p in range(count):
        distance = pairs.distance[p]
        if distance < cutoff:
            near += 1
            start[pairs.atoms[0, p] + 1] += 1
            start[pairs.atoms[1, p] + 1] += 1
        if distance < shortest:
            nearest, shortest = p, distance
    for i in range(start.shape[0] - 1):
        start[i + 1] += start[i] + 1
    return count, near, nearest


@loops
def fill_edges(
    pairs: Pairs, edges: Edges, cutoff: float, step: float, nodes: int, near: Array
) -> None:
    """Fill edges, and which pairs are near, (K,); places of `start` are used up."""
    start, sender = edges.start, edges.sender
    count = 0
    for p in range(pairs.distance.shape[0]):
        if pairs.distance[p] < cutoff:
            i, j = pairs.atoms[0, p], pairs.atoms[1, p]
            sender[start[i]], edges.near[start[i]] = j, count
            start[i] += 1
            sender[start[j]], edges.near[start[j]] = i, count
            start[j] += 1
            near[count] = p
            count += 1
    for i in range(start.shape[0] - 1):
        sender[start[i]], edges.near[start[i]] = i, count
    # Each start is now the last edge of its receiver: the next one begins behind it.
    for i in range(start.shape[0] - 2, 0, -1):
        start[i] = start[i - 1] + 1
    start[0] = 0
    _interpolate(pairs.distance, near, step, nodes, edges.node, edges.weight)


@loops
def _interpolate(
    distance: Array, near: Array, step: float, nodes: int, node: Array, weight: Array
) -> None:
    """Of each near pair the first row of its node, and quintic Hermite weights.

    The first six of the weights (K + 1, 12) give the value of a curve, the others its
    slope by the distance. The last row is of self edges: the curve's first node.
    """
    count = near.shape[0]
    for k in range(12):
        weight[count, k] = 0.0
    weight[count, 0] = 1.0
    node[count] = 0
    for n in range(count):
        d = distance[near[n]]
        place = d / (1.0 + d) / step
        left = min(int(place), nodes - 2)
        t = place - left
        by = 1.0 / (step * (1.0 + d) ** 2)
        t2 = t * t
        t3, t4 = t2 * t, t2 * t2
        t5 = t4 * t
        node[n] = NODE * left
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


@loops
def curve(curve: Array, first: int, w: Array, out: Array) -> None:
    """Value of a curve's channels."""
    a, b, c, d, e, f = w[0], w[1], w[2], w[3], w[4], w[5]
    r0, r1, r2 = curve[first], curve[first + 1], curve[first + 2]
    r3, r4, r5 = curve[first + 3], curve[first + 4], curve[first + 5]
    for k in range(out.shape[0]):
        out[k] = a * r0[k] + b * r1[k] + c * r2[k] + d * r3[k] + e * r4[k] + f * r5[k]


@loops
def unlinked(edges: Edges, starts: Array, reached: Array, stack: Array) -> int:
    """Place in its molecule of an atom that no chain of edges links to the first.

    Args:
        edges: Of molecules.
        starts: First atom of each molecule, and the end, (M + 1,).
        reached: Zeros, (A,).
        stack: Room, (A,).

    Returns:
        That of the first molecule that has one, or -1.
    """
    for m in range(starts.shape[0] - 1):
        stack[0], height = starts[m], 1
        reached[starts[m]] = 1
        while height:
            height -= 1
            i = stack[height]
            for e in range(edges.start[i], edges.start[i + 1]):
                j = edges.sender[e]
                if not reached[j]:
                    reached[j] = 1
                    stack[height] = j
                    height += 1
        for i in range(starts[m], starts[m + 1]):
            if not reached[i]:
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
