"""Messages along edges: the neighbour embedding (Eq 4) and attention (Sec 3.3).

Each function that ends in ``_back`` takes the gradient of the energy by what the one
before it gave, and adds those by what that one took.
"""

from typing import NamedTuple

from ase_physml.native.arithmetic import Array, loops, sigmoid
from ase_physml.native.edges import Edges, curve


class Rows(NamedTuple):
    """Room for the channels of one edge, (d,) each."""

    keys: Array
    keys_slope: Array
    values: Array
    values_slope: Array
    product: Array
    spread: Array


@loops
def neighbours(
    curves: Array, own: Array, edges: Edges, d: Array, around: Array
) -> None:
    """Sum of the neighbours' features by receiver (Eq 4), (A, d)."""
    for i in range(around.shape[0]):
        filters, into = curves[edges.species[i], curves.shape[1] - 1], around[i]
        for e in range(edges.start[i], edges.start[i + 1] - 1):
            n = edges.near[e]
            curve(filters, edges.node[n], edges.weight[n, :6], d)
            them = own[edges.species[edges.sender[e]]]
            for c in range(d.shape[0]):
                into[c] += d[c] * them[c]


@loops
def neighbours_back(
    curves: Array, own: Array, edges: Edges, d: Array, by: Array, slope: Array
) -> None:
    for i in range(by.shape[0]):
        filters, given = curves[edges.species[i], curves.shape[1] - 1], by[i]
        for e in range(edges.start[i], edges.start[i + 1] - 1):
            n = edges.near[e]
            curve(filters, edges.node[n], edges.weight[n, 6:], d)
            them = own[edges.species[edges.sender[e]]]
            total = d[0] * 0
            for c in range(d.shape[0]):
                total += given[c] * d[c] * them[c]
            slope[n] += total


@loops
def attend(
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
    heads, width = gate.shape[1], q.shape[1] // gate.shape[1]
    keys, product, values, spread = rows.keys, rows.product, rows.values, rows.spread
    for i in range(q.shape[0]):
        filters, query = curves[edges.species[i], 2 * layer], q[i]
        for e in range(edges.start[i], edges.start[i + 1]):
            n, key = edges.near[e], k[edges.sender[e]]
            curve(filters, edges.node[n], edges.weight[n], keys)
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
            s = sigmoid(logit)
            gate[e, h] = logit * s
            rise[e, h] = s * (1.0 + logit * (1.0 - s))
    for i in range(q.shape[0]):
        filters, into = curves[edges.species[i], 2 * layer + 1], update[i]
        for e in range(edges.start[i], edges.start[i + 1]):
            n, value = edges.near[e], v[edges.sender[e]]
            curve(filters, edges.node[n], edges.weight[n], values)
            to_channels(gate[e], spread)
            for c in range(q.shape[1]):
                into[c] += spread[c] * value[c] * values[c]


@loops
def to_channels(of_heads: Array, out: Array) -> None:
    """Each head's weight on all its channels."""
    width = out.shape[0] // of_heads.shape[0]
    for h in range(of_heads.shape[0]):
        for c in range(h * width, (h + 1) * width):
            out[c] = of_heads[h]


@loops
def attend_back(
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
            j, n = edges.sender[e], edges.near[e]
            first, weight, by = edges.node[n], edges.weight[n, :6], edges.weight[n, 6:]
            value, by_value = v[j], by_v[j]
            curve(value_curve, first, weight, values)
            curve(value_curve, first, by, values_slope)
            to_channels(gate[e], spread)
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
            curve(key_curve, first, weight, keys)
            curve(key_curve, first, by, keys_slope)
            to_channels(rise[e], spread)
            for c in range(q.shape[1]):
                by_query[c] += spread[c] * key[c] * keys[c]
                by_key[c] += spread[c] * query[c] * keys[c]
                total += spread[c] * query[c] * key[c] * keys_slope[c]
            slope[n] += total