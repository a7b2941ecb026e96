"""PhysML's energy and its gradient, forward and back through all layers.

Equations are those of `models.physml.model`, in the same order. Features have the dtype
of the weights, geometry and energies are float64.
"""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from ase_physml.native.arithmetic import (
    Array,
    add_product,
    add_rows,
    entry,
    loops,
    normalise,
    normalise_back,
)
from ase_physml.native.edges import (
    NODE,
    Edges,
    Pairs,
    add_forces,
    fill_edges,
    unlinked,
)
from ase_physml.native.messages import (
    Rows,
    attend,
    neighbours,
    neighbours_back,
    open_gates,
    send,
    send_back,
)
from ase_physml.native.pair_terms import atom_terms, exponentials, pair_terms
from ase_physml.native.weights import Weights


class Room(NamedTuple):
    """Arrays to work in: atoms A, edges E, near pairs K, layers L, channels d.

    Zeros where something is added up; ``by_`` are gradients of the energy.

    Attributes:
        x: Features, (A, d): those of `combine` without the neighbours.
        around: Zeros, (A, d).
        hat: Normalised features, (L + 1, A, d).
        scale: 1 / sigma of them, (L + 1, A) float64.
        qkv: Zeros, (L, 3, A, d).
        gate: Weights of attention, (L, E, H) float64.
        rise: Their slopes, (L, E, H) float64.
        all_gates: The weights once more, (L, E H).
        all_rises: The slopes once more, (L, E H).
        update: Zeros, (L, A, d).
        atom_hidden: Zeros, (A, h).
        pair_hidden: Zeros, (2, A, d).
        grown: (2, A, d).
        rise_of_pairs: (2, BLOCK, d).
        block: (7, BLOCK) float64.
        by_pair_hidden: Zeros, (2, A, d).
        by_x: Zeros, (A, d).
        by_hat: Zeros, (L + 1, A, d).
        by_qkv: Zeros, (L, 3, A, d).
        by_update: Zeros, (L, A, d).
        by_around: Zeros, (A, d).
        slope: Of pairs, zeros, (P,) float64.
        near_slope: Of near pairs and self edges, zeros, (K + 1,) float64.
        parent: Numbers of the atoms, (A,) int64.
        owner: Structure of each atom, (A,) int64.
    """

    x: Array
    around: Array
    hat: Array
    scale: Array
    qkv: Array
    gate: Array
    rise: Array
    all_gates: Array
    all_rises: Array
    update: Array
    atom_hidden: Array
    pair_hidden: Array
    grown: Array
    rise_of_pairs: Array
    block: Array
    by_pair_hidden: Array
    by_x: Array
    by_hat: Array
    by_qkv: Array
    by_update: Array
    by_around: Array
    slope: Array
    near_slope: Array
    parent: Array
    owner: Array


@loops
def _run(
    weights: Weights,
    terms: tuple[bool, bool],
    cutoffs: tuple[float, float],
    step: float,
    starts: Array,
    pairs: Pairs,
    edges: Edges,
    room: Room,
    rows: Rows,
    energies: Array,
    forces: Array,
    strain: Array,
) -> tuple[int, float]:
    """Add energies (A,) in eV, forces (A, 3) in eV/Å, gradients by strain (M, 3, 3).

    Args:
        weights: Of the model.
        terms: Whether it has atoms' terms, and pairs'.
        cutoffs: Of attention, and where pair terms have faded, Å.
        step: Spacing of the curves' nodes.
        starts: First atom of each structure, and the end, (M + 1,).
        pairs: All that have an energy.
        edges: Empty but for the elements.
        room: For the features.
        rows: For the channels of one edge.
        energies: To add to.
        forces: To add to.
        strain: To add to.

    Returns:
        Place of an atom in a part of its molecule that no edge links to the rest, or
        -1, and the largest hidden feature of pairs.
    """
    curves, depth, last = weights.curves, room.update.shape[0], room.update.shape[0]
    fill_edges(pairs, edges, cutoffs[0], step, curves.shape[2] // NODE)
    alone = unlinked(edges, starts, room.parent)

    neighbours(curves, weights.own, edges, rows.keys, room.around)
    add_product(room.around, weights.mix, room.x)
    for i in range(depth):
        hat, qkv = room.hat[i], room.qkv[i]
        normalise(room.x, hat, room.scale[i])
        for part in range(3):
            add_rows(weights.qkv_bias[i, part], qkv[part])
            add_product(hat, weights.qkv[i, part], qkv[part])
        attend(i, curves, edges, rows, qkv[0], qkv[1], room.rise[i])
        open_gates(room.all_rises[i], room.all_gates[i])
        send(i, curves, edges, rows, qkv[2], room.gate[i], room.update[i])
        add_rows(weights.out_bias[i], room.x)
        add_product(room.update[i], weights.out[i], room.x)
    normalise(room.x, room.hat[last], room.scale[last])

    largest = 0.0
    if terms[0]:
        add_rows(weights.atom_bias, room.atom_hidden)
        add_product(room.hat[last], weights.atom, room.atom_hidden)
        atom_terms(room.atom_hidden, weights.atom_out, energies)
        add_product(room.atom_hidden, weights.atom_back, room.by_hat[last])
    if terms[1]:
        for part in range(2):
            hidden = room.pair_hidden[part]
            add_rows(weights.pair_bias[part], hidden)
            add_product(room.hat[last], weights.pair[part], hidden)
            largest = max(largest, exponentials(hidden, room.grown[part]))
        pair_terms(
            room.pair_hidden, room.grown, weights, edges.species, pairs, cutoffs[1],
            room.rise_of_pairs, room.block, room.by_pair_hidden, room.slope, energies,
        )  # fmt: skip
        for part in range(2):
            by_hidden, back = room.by_pair_hidden[part], weights.pair_back[part]
            add_product(by_hidden, back, room.by_hat[last])

    normalise_back(room.by_hat[last], room.hat[last], room.scale[last], room.by_x)
    for i in range(depth - 1, -1, -1):
        qkv, by_qkv, by_hat = room.qkv[i], room.by_qkv[i], room.by_hat[i]
        add_product(room.by_x, weights.out_back[i], room.by_update[i])
        send_back(
            i, curves, edges, rows, qkv[0], qkv[1], qkv[2], room.gate[i], room.rise[i],
            room.by_update[i], by_qkv[0], by_qkv[1], by_qkv[2], room.near_slope,
        )  # fmt: skip
        for part in range(3):
            add_product(by_qkv[part], weights.qkv_back[i, part], by_hat)
        normalise_back(by_hat, room.hat[i], room.scale[i], room.by_x)
    add_product(room.by_x, weights.mix_back, room.by_around)
    neighbours_back(
        curves, weights.own, edges, rows.keys, room.by_around, room.near_slope
    )
    for n in range(edges.pair.shape[0]):
        room.slope[edges.pair[n]] += room.near_slope[n]
    add_forces(pairs, room.slope, room.owner, forces, strain)
    return alone, largest


def _sources() -> int:
    """Number of the loops' source, which changes with any of them."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    found = hashlib.sha256(b"".join(file.read_bytes() for file in files))
    return int.from_bytes(found.digest()[:7], "big")


def _entry(sources: int) -> Any:
    # What is on disk is known by this function's code and what it closes over: numba
    # does not look at the files of functions that are called.
    @entry
    def evaluate(
        weights: Weights,
        terms: tuple[bool, bool],
        cutoffs: tuple[float, float],
        step: float,
        starts: Array,
        pairs: Pairs,
        edges: Edges,
        room: Room,
        rows: Rows,
        energies: Array,
        forces: Array,
        strain: Array,
    ) -> tuple[int, float, int]:
        alone, largest = _run(
            weights, terms, cutoffs, step, starts, pairs, edges, room, rows, energies,
            forces, strain,
        )  # fmt: skip
        return alone, largest, sources

    return evaluate


evaluate = _entry(_sources())
"""`_run`, as Python calls it; it returns the number of the source as well."""
