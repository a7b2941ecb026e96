"""Evaluation of a PhysML by compiled loops, without torch."""

from threading import Lock
from typing import NamedTuple

import numpy as np

from ase_physml.models.physml.model import PhysML
from ase_physml.native.curves import Array, curves_of, spacing
from ase_physml.native.edges import NODE, Edges, Pairs, find_pairs
from ase_physml.native.gradient import Room, evaluate
from ase_physml.native.messages import Rows
from ase_physml.native.pair_terms import BLOCK
from ase_physml.native.weights import weights_of

_ENDLESS = 1e30
# Hidden features of pairs whose exponentials are numbers of the dtype.
_LARGEST = {"float32": 80.0, "float64": 600.0}


class Found(NamedTuple):
    """Output for a batch of M structures with A atoms.

    Attributes:
        energies: Energies of atoms without their reference, (A,) eV.
        forces: (A, 3) eV/Å.
        by_strain: Gradients of the energies by strain, (M, 3, 3) eV.
        shortest: Distance of the nearest pair, Å.
        alone: Place in its molecule of an atom that no chain of neighbours links to the
            first; -1 if there is none.
        exact: Whether numbers stayed in range; if not, this is not the model's output.
    """

    energies: Array
    forces: Array
    by_strain: Array
    shortest: float
    alone: int
    exact: bool


class NativePhysML:
    """A PhysML on one core of a CPU, its filters as curves.

    Threads may share it, and run at the same time.

    Args:
        model: Of float32 or float64, which is the precision of the features.
    """

    def __init__(self, model: PhysML) -> None:
        self._model = model
        config = model.config
        dtype = str(model.element_bias.dtype).removeprefix("torch.")
        self._weights = weights_of(model, dtype)
        self._largest = _LARGEST[dtype]
        self._species_of = model.species_of.cpu().numpy()
        self._reference = model.self_energies.cpu().numpy()
        self._terms = config.atom_energy, config.pair_energy
        reach = config.pair_cutoff or _ENDLESS
        self._cutoffs = config.cutoff, reach
        # Of pairs that are listed: without energies of pairs, edges' alone.
        self._reach = reach if config.pair_energy else config.cutoff
        self._step = spacing(model)
        self._known: set[int] = set()
        self._lock = Lock()

    def reference(self, numbers: Array) -> Array:
        """Fixed energies of atoms, (A,) eV float64."""
        energies: Array = self._reference[self._species_of[numbers]]
        return energies

    def of_molecules(self, numbers: Array, positions: Array, n_atoms: Array) -> Found:
        """Output for molecules, whose pairs are found by measuring all distances.

        Args:
            numbers: Atomic numbers, (A,).
            positions: (A, 3) Å float64.
            n_atoms: Atoms of each molecule, (M,).
        """
        most = int((n_atoms * (n_atoms - 1) // 2).sum())
        return self._evaluate(numbers, positions, n_atoms, _room_for(most), False)

    def of_pairs(
        self, numbers: Array, n_atoms: Array, pairs: Array, vectors: Array
    ) -> Found:
        """Output for structures of which pairs are given.

        Args:
            numbers: Atomic numbers, (A,).
            n_atoms: Atoms of each structure, (M,).
            pairs: Atoms of each pair, (2, P); each pair is listed once.
            vectors: From the first to the second, or its image, (P, 3) Å float64.
        """
        given = Pairs(
            np.ascontiguousarray(pairs, np.int64),
            np.ascontiguousarray(vectors, np.float64),
            np.empty(len(vectors)),
        )
        return self._evaluate(numbers, np.empty((0, 3)), n_atoms, given, True)

    def _evaluate(
        self,
        numbers: Array,
        positions: Array,
        n_atoms: Array,
        pairs: Pairs,
        listed: bool,
    ) -> Found:
        species = self._species_of[numbers]
        self._prepare(species)
        starts = np.zeros(len(n_atoms) + 1, np.int64)
        np.cumsum(n_atoms, out=starts[1:])
        positions = np.ascontiguousarray(positions, np.float64)
        cutoff = self._cutoffs[0]
        count, near, nearest = find_pairs(
            positions, starts, self._reach, cutoff, listed, pairs
        )
        pairs = Pairs(
            np.ascontiguousarray(pairs.atoms[:, :count]),
            pairs.vector[:count],
            pairs.distance[:count],
        )
        energies = self._weights.constants[species].astype(np.float64)
        forces = np.zeros((len(numbers), 3))
        by_strain = np.zeros((len(n_atoms), 3, 3))
        alone, largest, _ = evaluate(
            self._weights, self._terms, self._cutoffs, self._step, starts, pairs,
            self._edges(species, near), self._room(species, n_atoms, count, near),
            self._rows(), energies, forces, by_strain,
        )  # fmt: skip
        shortest = float(pairs.distance[nearest]) if nearest >= 0 else np.inf
        exact = largest < self._largest
        return Found(energies, forces, by_strain, shortest, alone, exact)

    def _prepare(self, species: Array) -> None:
        """Compute curves of elements that come for the first time."""
        for one in set(species.tolist()) - self._known:
            with self._lock:
                self._weights.curves[one] = curves_of(self._model, one)
                self._known.add(one)

    def _edges(self, species: Array, near: int) -> Edges:
        """Room for edges."""
        elements, _, rows, _ = self._weights.curves.shape
        n_edges, dtype = 2 * near + len(species), self._weights.base.dtype
        receiver, sender, pair_of_edge = np.empty((3, n_edges), np.int64)
        return Edges(
            species=species,
            receiver=receiver,
            sender=sender,
            near=pair_of_edge,
            pair=np.empty(near, np.int64),
            node=np.empty(near + 1, np.int64),
            value=np.empty((near + 1, 6), dtype),
            slope=np.empty((near + 1, 6), dtype),
            bins=np.zeros(elements * (rows // NODE) + 1, np.int64),
        )

    def _rows(self) -> Rows:
        width = self._weights.base.shape[1]
        return Rows(*np.empty((6, width), self._weights.base.dtype))

    def _room(self, species: Array, n_atoms: Array, count: int, near: int) -> Room:
        weights, config = self._weights, self._model.config
        depth, width, hidden = config.depth, config.width, weights.atom.shape[1]
        atoms, dtype = len(species), weights.base.dtype
        n_edges = 2 * near + atoms

        def zeros(*shape: int) -> Array:
            return np.zeros(shape, dtype)

        def empty(*shape: int) -> Array:
            return np.empty(shape, dtype)

        gate, rise = np.empty((2, depth, n_edges, config.heads))
        return Room(
            x=weights.base[species],
            around=zeros(atoms, width),
            hat=empty(depth + 1, atoms, width),
            scale=np.empty((depth + 1, atoms)),
            qkv=zeros(depth, 3, atoms, width),
            gate=gate,
            rise=rise,
            all_gates=gate.reshape(depth, -1),
            all_rises=rise.reshape(depth, -1),
            update=zeros(depth, atoms, width),
            atom_hidden=zeros(atoms, hidden),
            pair_hidden=zeros(2, atoms, width),
            grown=empty(2, atoms, width),
            rise_of_pairs=empty(2, BLOCK, width),
            block=np.empty((7, BLOCK)),
            by_pair_hidden=zeros(2, atoms, width),
            by_x=zeros(atoms, width),
            by_hat=zeros(depth + 1, atoms, width),
            by_qkv=zeros(depth, 3, atoms, width),
            by_update=zeros(depth, atoms, width),
            by_around=zeros(atoms, width),
            slope=np.zeros(count),
            near_slope=np.zeros(near + 1),
            parent=np.arange(atoms),
            owner=np.repeat(np.arange(len(n_atoms)), n_atoms),
        )


def _room_for(pairs: int) -> Pairs:
    return Pairs(np.empty((2, pairs), np.int64), np.empty((pairs, 3)), np.empty(pairs))
