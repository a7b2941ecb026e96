"""Structures of ASE as the graphs that models read."""

from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from ase_physml.calculators.cells import is_periodic
from ase_physml.calculators.spread import Array
from ase_physml.graph import AllPairs, AtomGraph, EdgeList, PeriodicEdgeList
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.neighbours import Search

# Up to this many atoms all pairs, computed without an index, are faster than a list of
# the pairs within the cutoff.
_DENSE_ATOMS = 100

# Cells away from which atoms come back, and a fraction of a cell where no lattice has
# its sites: an atom that vibrates about one stays on one side of it.
_CELLS, _NO_SITE = 3, 0.137


def graph_of(
    structures: Sequence[Atoms],
    config: PhysMLConfig,
    device: torch.device,
    dtype: str,
    search: Search,
) -> AtomGraph:
    """The layout that suits the structures best.

    Args:
        structures: At least one; molecules and cells may be mixed.
        config: Of the model, for its cutoffs.
        device: Of the tensors.
        dtype: Of the positions, a name that torch knows.
        search: Finds the pairs of periodic structures.
    """
    numbers, positions = tensors_of(structures, device, dtype)
    n_atoms = torch.tensor([len(atoms) for atoms in structures], device=device)
    if not any(is_periodic(atoms) for atoms in structures):
        return molecules_of(numbers, positions, n_atoms, config)
    cells = np.stack([atoms.cell.array for atoms in structures])
    pbc = np.stack([atoms.pbc for atoms in structures])
    return PeriodicEdgeList.build_cells(
        numbers,
        positions,
        n_atoms,
        torch.from_numpy(cells).to(positions),
        torch.from_numpy(pbc).to(device),
        config.cutoff,
        config.pair_cutoff or config.cutoff,
        search,
    )


def molecules_of(
    numbers: Tensor, positions: Tensor, n_atoms: Tensor, config: PhysMLConfig
) -> AtomGraph:
    """The same of tensors, for molecules.

    Args:
        numbers: (A,) int64.
        positions: (A, 3) Å.
        n_atoms: Atoms of each molecule, (M,) int64.
        config: Of the model, for its cutoffs.
    """
    size = int(n_atoms[0])
    if size <= _DENSE_ATOMS and bool((n_atoms == size).all()):
        shape = (len(n_atoms), size)
        return AllPairs(numbers.reshape(shape), positions.reshape(*shape, 3))
    return EdgeList.build(
        numbers, positions, n_atoms, config.cutoff, config.pair_cutoff
    )


def tensors_of(
    structures: Sequence[Atoms], device: torch.device, dtype: str
) -> tuple[Tensor, Tensor]:
    """Atomic numbers (A,) and positions (A, 3) in Å of all structures, moved together.

    float32 has seven digits, which a structure far from the origin would spend on where
    it is.
    """
    numbers = np.concatenate([atoms.numbers for atoms in structures])
    positions = np.concatenate([_near_origin(atoms) for atoms in structures])
    return (
        torch.as_tensor(numbers.astype(np.int64), device=device),
        torch.tensor(positions, dtype=getattr(torch, dtype), device=device),
    )


def _near_origin(atoms: Atoms) -> Array:
    """Positions (N, 3) in Å, moved by what changes neither energy nor stress.

    Atoms of a cell come back by whole lattice vectors, but only from some cells away:
    where each atom is put is part of what a list of neighbours remembers, and those
    that move to and fro across a face would have it made anew every time.
    """
    positions: Array = atoms.positions
    if atoms.pbc.any():
        vectors = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)
        cells = np.floor(positions @ np.linalg.pinv(vectors) + _NO_SITE)
        positions = positions - np.where(np.abs(cells) > _CELLS, cells, 0.0) @ vectors
    centred: Array = positions - positions.mean(axis=0)
    return centred
