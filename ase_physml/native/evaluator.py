"""Evaluation of a PhysML by native code, without torch."""

import math
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ase_physml.models.physml.model import PhysML
from ase_physml.models.physml.pair_energy import COULOMB
from ase_physml.native.binding import Batch, Model, shared_object
from ase_physml.native.channels import directed_of, heads_of, width_of
from ase_physml.native.curves import NODE, curves_of, nodes_needed, spacing
from ase_physml.native.weights import outputs_of, weights_of

Array = npt.NDArray[Any]

_ENDLESS = 1e30
_LINE = 64
# Hidden features of pairs whose exponentials are numbers of the dtype.
_LARGEST = {"float32": 80.0, "float64": 600.0}


class Found(NamedTuple):
    """Output for a batch of M structures with A atoms.

    Attributes:
        energies: Energies of atoms without their reference, (A,) eV.
        charges: Charges of atoms, (A,) e; zeros of a model without them.
        forces: (A, 3) eV/Å.
        by_strain: Gradients of the energies by strain, (M, 3, 3) eV.
        shortest: Distance of the nearest pair, Å.
        alone: Place in its molecule of an atom that no chain of neighbours links to the
            first; -1 if there is none.
        exact: Whether numbers stayed in range; if not, this is not the model's output.
    """

    energies: Array
    charges: Array
    forces: Array
    by_strain: Array
    shortest: float
    alone: int
    exact: bool


class Pairs(NamedTuple):
    """Pairs of atoms, listed once each.

    Attributes:
        atoms: First and second atom, (2, P) int64.
        vectors: From the first to the second, or its image, (P, 3) Å float64.
        cells: Lattice vectors of the structures, (M, 3, 3) Å; None for molecules.
    """

    atoms: Array
    vectors: Array
    cells: Array | None = None


def structure_of(model: PhysML, nodes: int) -> Model:
    """Sizes and cutoffs of a model, without its weights."""
    config = model.config
    hidden, flow, betas = outputs_of(model)
    reach = config.reach
    return Model(
        width=width_of(config),
        channels=config.width,
        hidden=hidden,
        flow=flow,
        directed=directed_of(config),
        depth=config.depth,
        heads=heads_of(config),
        species=len(config.elements) + 1,
        nodes=nodes,
        betas=betas,
        cutoff=config.cutoff,
        reach=_ENDLESS if reach is None else reach,
        pair_cutoff=config.pair_cutoff or _ENDLESS,
        step=spacing(model, nodes),
    )


def transposed_size(model: Model) -> int:
    """Numbers in the transposes that `physml_prepare` fills."""
    outputs = (2 * model.width if model.betas else 0) + model.hidden + 2 * model.flow
    layer = 4 * model.width + 3 * model.directed
    return int(model.width * (model.depth * layer + model.width + outputs))


def room(shape: tuple[int, ...], dtype: str) -> Array:
    """Zeros that begin at a line of the cache."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    given = np.zeros(size + _LINE, np.uint8)
    first = -given.ctypes.data % _LINE
    return given[first : first + size].view(dtype).reshape(shape)


def aligned(values: Array, dtype: str) -> Array:
    """A copy that begins at a line of the cache."""
    found = room(values.shape, dtype)
    found[...] = values
    return found


class NativePhysML:
    """A PhysML on one core of a CPU, its filters as curves.

    Threads may share it, and run at the same time.

    Args:
        model: Of float32 or float64, which is the precision of the features.
    """

    def __init__(self, model: PhysML) -> None:
        self._torch_model = model
        dtype = str(model.element_bias.dtype).removeprefix("torch.")
        self._largest, self._bytes = _LARGEST[dtype], np.dtype(dtype).itemsize
        self._library = shared_object()
        with torch.no_grad():
            self._model = given = structure_of(model, nodes_needed(model))
            self._weights = aligned(weights_of(model).numpy(), dtype)
        rows = NODE * given.nodes * given.width * (2 * given.depth + 1)
        # Zeros take no memory until they are written to.
        self._curves = room((given.species, rows), dtype)
        self._transposed = room((transposed_size(given),), dtype)
        given.weights, given.curves = (
            self._weights.ctypes.data,
            self._curves.ctypes.data,
        )
        given.transposed = self._transposed.ctypes.data
        self._library.physml_prepare(given, self._bytes)
        self._species_of = model.species_of.cpu().numpy()
        self._reference = model.self_energies.cpu().numpy()
        self._known: set[int] = set()
        self._lock = Lock()

    def reference(self, numbers: Array) -> Array:
        """Fixed energies of atoms, (A,) eV float64."""
        energies: Array = self._reference[self._species_of[numbers]]
        return energies

    def evaluate(
        self,
        numbers: Array,
        positions: Array,
        n_atoms: Array,
        pairs: Pairs | None = None,
    ) -> Found:
        """Output for a batch of structures.

        Args:
            numbers: Atomic numbers, (A,).
            positions: (A, 3) Å.
            n_atoms: Atoms of each structure, (M,).
            pairs: Those within reach; None for molecules, of which all distances are
                measured.
        """
        species = self._species_of[numbers]
        self._prepare(species)
        atoms, structures = len(species), len(n_atoms)
        starts = np.zeros(structures + 1, np.int64)
        np.cumsum(n_atoms, out=starts[1:])
        positions = np.ascontiguousarray(positions, np.float64)
        # Energies, charges, forces, gradients by strain.
        out = np.zeros(5 * atoms + 9 * structures)
        place = out.ctypes.data
        batch = Batch(structures, atoms, -1)
        batch.species, batch.starts = species.ctypes.data, starts.ctypes.data
        batch.positions = positions.ctypes.data
        batch.energies, batch.charges = place, place + 8 * atoms
        batch.forces, batch.strain = place + 16 * atoms, place + 40 * atoms
        kept = self._add_pairs(batch, pairs) if pairs is not None else ()
        self._library.physml_evaluate(self._model, batch, self._bytes)
        del kept
        return Found(
            out[:atoms],
            out[atoms : 2 * atoms],
            out[2 * atoms : 5 * atoms].reshape(-1, 3),
            out[5 * atoms :].reshape(-1, 3, 3),
            batch.shortest,
            batch.alone,
            batch.largest < self._largest,
        )

    def _add_pairs(self, batch: Batch, pairs: Pairs) -> tuple[Array, ...]:
        """Put pairs and waves into a batch; arrays that have to stay."""
        listed = np.ascontiguousarray(pairs.atoms, np.int64)
        vectors = np.ascontiguousarray(pairs.vectors, np.float64)
        batch.pairs = len(vectors)
        batch.pair_atoms, batch.vectors = listed.ctypes.data, vectors.ctypes.data
        if pairs.cells is None or self._model.betas != 3:
            return listed, vectors
        batch.splitting = self._torch_model.splitting()
        each = [waves_of(cell, batch.splitting) for cell in pairs.cells]
        waves = np.concatenate(each)
        starts = np.cumsum([0, *map(len, each)])
        batch.waves, batch.wave_starts = waves.ctypes.data, starts.ctypes.data
        return listed, vectors, waves, starts

    def _prepare(self, species: Array) -> None:
        """Compute curves of elements that come for the first time."""
        new = set(species.tolist()) - self._known
        if not new:
            return
        with self._lock, torch.no_grad():
            for one in new - self._known:
                nodes = self._model.nodes
                found = curves_of(
                    self._torch_model, torch.tensor([one], device="cpu"), nodes
                )
                self._curves[one] = found[0].numpy()
                self._known.add(one)


def waves_of(cell: Array, splitting: float) -> Array:
    """Wave vectors of Ewald's reciprocal sum and their weights.

    As `models.physml.coulomb.reciprocal_energies`, one of each k and -k.

    Args:
        cell: Lattice vectors in rows, (3, 3) Å.
        splitting: 1/Å.

    Returns:
        (K, 4): k in 1/Å and its weight in eV/e^2.
    """
    longest = 2.0 * splitting * np.sqrt(-np.log(1e-9))
    lengths = np.linalg.norm(cell, axis=1)
    counts = np.ceil(longest * lengths / (2.0 * np.pi)).astype(int)
    axes = [np.arange(-n, n + 1) for n in counts]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    grid = grid[len(grid) // 2 + 1 :]  # the middle one is zero
    waves = 2.0 * np.pi * grid @ np.linalg.inv(cell).T
    squared = (waves**2).sum(axis=1)
    near = squared < longest**2
    waves, squared = waves[near], squared[near]
    volume = abs(np.linalg.det(cell))
    weights = 2.0 * COULOMB * 2.0 * np.pi / volume
    weights = weights * np.exp(-squared / (4.0 * splitting**2)) / squared
    return np.ascontiguousarray(np.column_stack([waves, weights]))
