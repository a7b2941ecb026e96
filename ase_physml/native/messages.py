"""Messages along edges: the neighbour embedding (Eq 4) and attention (Sec 3.3).

Each function that ends in ``_back`` takes the gradient of the energy by what the one
before it gave, and adds those by what that one took.
"""

from typing import NamedTuple

from ase_physml.native.arithmetic import Array, inner_loops, loops, sigmoid
from ase_physml.native.edges import Edges, curve, curve_and_slope


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
    curves: Array, own: Array, edges: Edges, filters: Array, around: Array
) -> None:
    """Sum of the neighbours' features by receiver (Eq 4), (A, d)."""
    last = curves.shape[1] - 1
    for e in range(edges.sender.shape[0] - around.shape[0]):
        i, n = edges.receiver[e], edges.near[e]
        into, them = around[i], own[edges.species[edges.sender[e]]]
        curve(curves[edges.species[i], last], edges.node[n], edges.value[n], filters)
        for c in range(filters.shape[0]):
            into[c] += filters[c] * them[c]


@loops
def neighbours_back(
    curves: Array, own: Array, edges: Edges, filters: Array, by: Array, slope: Array
) -> None:
    """Add gradients by distances of near pairs."""
    last = curves.shape[1] - 1
    for e in range(edges.sender.shape[0] - by.shape[0]):
        i, n = edges.receiver[e], edges.near[e]
        given, them = by[i], own[edges.species[edges.sender[e]]]
        curve(curves[edges.species[i], last], edges.node[n], edges.slope[n], filters)
        total = filters[0] * 0
        for c in range(filters.shape[0]):
            total += given[c] * filters[c] * them[c]
        slope[n] += total


@loops
def attend(
    layer: int,
    curves: Array,
    edges: Edges,
    rows: Rows,
    q: Array,
    k: Array,
    logits: Array,
) -> None:
    """Scores ``q k D^K`` of edges, by head (E, H)."""
    keys, product = rows.keys, rows.product
    for e in range(logits.shape[0]):
        i, j, n = edges.receiver[e], edges.sender[e], edges.near[e]
        query, key, filters = q[i], k[j], curves[edges.species[i], 2 * layer]
        curve(filters, edges.node[n], edges.value[n], keys)
        for c in range(keys.shape[0]):
            product[c] = query[c] * key[c] * keys[c]
        _by_head(product, logits[e])


@loops
def open_gates(logits: Array, gate: Array) -> None:
    """SiLU of scores, (E H,), and its slope in place of them."""
    for e in range(gate.shape[0]):
        x = logits[e]
        s = sigmoid(x)
        gate[e] = x * s
        logits[e] = s * (1.0 + x * (1.0 - s))


@loops
def send(
    layer: int,
    curves: Array,
    edges: Edges,
    rows: Rows,
    v: Array,
    gate: Array,
    update: Array,
) -> None:
    """Add messages ``gate v D^V`` to their receivers, (A, d)."""
    values, spread = rows.values, rows.spread
    for e in range(gate.shape[0]):
        i, j, n = edges.receiver[e], edges.sender[e], edges.near[e]
        value, into = v[j], update[i]
        filters = curves[edges.species[i], 2 * layer + 1]
        curve(filters, edges.node[n], edges.value[n], values)
        _to_channels(gate[e], spread)
        for c in range(values.shape[0]):
            into[c] += spread[c] * value[c] * values[c]


@inner_loops
def _by_head(product: Array, out: Array) -> None:
    """Sum over the channels of each head."""
    width = product.shape[0] // out.shape[0]
    for h in range(out.shape[0]):
        total = product[0] * 0
        for c in range(h * width, (h + 1) * width):
            total += product[c]
        out[h] = total


@inner_loops
def _to_channels(of_heads: Array, out: Array) -> None:
    """Each head's weight on all its channels."""
    width = out.shape[0] // of_heads.shape[0]
    for h in range(of_heads.shape[0]):
        for c in range(h * width, (h + 1) * width):
            out[c] = of_heads[h]


@loops
def send_back(
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
    """Add gradients by queries, keys, values (A, d), and distances of near pairs.

    ``gate`` becomes the gradient by the logits.
    """
    keys, keys_slope, product = rows.keys, rows.keys_slope, rows.product
    values, values_slope, spread = rows.values, rows.values_slope, rows.spread
    for e in range(gate.shape[0]):
        i, j, n = edges.receiver[e], edges.sender[e], edges.near[e]
        first, filters = edges.node[n], curves[edges.species[i]]
        given, value, by_value = by_update[i], v[j], by_v[j]
        _to_channels(gate[e], spread)
        weight, by = edges.value[n], edges.slope[n]
        curve_and_slope(filters[2 * layer + 1], first, weight, by, values, values_slope)
        total = product[0] * 0
        for c in range(keys.shape[0]):
            passed = given[c] * value[c]
            product[c] = passed * values[c]
            by_value[c] += spread[c] * given[c] * values[c]
            total += spread[c] * passed * values_slope[c]
        _by_head(product, gate[e])
        for h in range(gate.shape[1]):
            gate[e, h] *= rise[e, h]
        query, by_query, key, by_key = q[i], by_q[i], k[j], by_k[j]
        _to_channels(gate[e], spread)
        curve_and_slope(filters[2 * layer], first, weight, by, keys, keys_slope)
        for c in range(keys.shape[0]):
            by_query[c] += spread[c] * key[c] * keys[c]
            by_key[c] += spread[c] * query[c] * keys[c]
            total += spread[c] * query[c] * key[c] * keys_slope[c]
        slope[n] += total
