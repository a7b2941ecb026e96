"""Batches of structures, and the tensors of a batch."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

import numpy as np
import torch
from ase import Atoms

from ase_physml.calculators.spread import Array
from ase_physml.potential import (
    Integers,
    LoadedPotential,
    MoleculesFound,
    Structures,
)

# Features of so many edges stay in the cache of a CPU core: a larger pass is slower.
# Compiled kernels have less to do between two of them.
_EDGES = 3000
_EDGES_COMPILED = 1500

# Atoms that compiled loops take at once; molecules up to here are told no neighbours.
ATOMS_NATIVE = 300

# Cells away from which atoms come back, and a fraction of a cell where no lattice has
# its sites: an atom that vibrates about one stays on one side of it.
_CELLS, _NO_SITE = 3, 0.137


def batches_of(
    structures: Sequence[Atoms], device: torch.device, compiled: bool = False
) -> Iterator[list[int]]:
    """Indices of the structures of each forward pass.

    On a CPU molecules of a pass have equal size, which needs no index lists, and are as
    many as its cache holds; cells are on their own, since their images make them large.
    A GPU gets all molecules at once, and all cells.

    Args:
        structures: Molecules and cells.
        device: Device that evaluates them.
        compiled: Evaluation is by compiled kernels.
    """
    sizes = [len(atoms) for atoms in structures]
    by_size = sorted(range(len(sizes)), key=sizes.__getitem__)
    cells = [k for k in by_size if structures[k].pbc.any()]
    molecules = [k for k in by_size if not structures[k].pbc.any()]
    if device.type != "cpu":
        yield from (some for some in (molecules, cells) if some)
        return
    edges = _EDGES_COMPILED if compiled else _EDGES
    for size, equal in groupby(molecules, key=sizes.__getitem__):
        some = list(equal)
        step = max(1, edges // size**2)
        yield from (some[i : i + step] for i in range(0, len(some), step))
    yield from ([k] for k in cells)


def native_batches_of(
    structures: Sequence[Atoms], threads: int
) -> tuple[list[list[int]], list[int]]:
    """Indices of the molecules of each pass of compiled loops, and those of the rest.

    Args:
        structures: Molecules and cells.
        threads: Passes at a time; there are as many, if there are molecules enough.

    Returns:
        Passes of molecules of any sizes; and cells and large molecules, which need a
        list of neighbours and are on their own.
    """
    small: list[int] = []
    rest: list[int] = []
    for index, atoms in enumerate(structures):
        alone = len(atoms) > ATOMS_NATIVE or bool(atoms.pbc.any())
        (rest if alone else small).append(index)
    total = sum(len(structures[index]) for index in small)
    most = min(ATOMS_NATIVE, -(-total // threads))
    passes: list[list[int]] = []
    size = most
    for index in small:
        size += len(structures[index])
        if size > most:
            passes.append([])
            size = len(structures[index])
        passes[-1].append(index)
    return passes, rest


def evaluate_in_threads(
    loaded: LoadedPotential, batches: Sequence[Sequence[Atoms]], threads: int
) -> list[MoleculesFound | None]:
    """Output of compiled loops for batches of molecules, in threads of a core each."""
    given = [arrays_of(some) for some in batches]
    if len(given) < 2 or threads < 2:
        return [loaded.evaluate_molecules(*arrays) for arrays in given]
    with ThreadPoolExecutor(min(threads, len(given))) as pool:
        return list(pool.map(lambda a: loaded.evaluate_molecules(*a), given))


def arrays_of(structures: Sequence[Atoms]) -> tuple[Integers, Array, Integers]:
    """Atomic numbers (A,), positions (A, 3) in Å and sizes (M,) of molecules."""
    if len(structures) == 1:
        (atoms,) = structures
        return atoms.numbers, atoms.positions, np.array([len(atoms)])
    numbers = np.concatenate([atoms.numbers for atoms in structures])
    positions = np.concatenate([atoms.positions for atoms in structures])
    return numbers, positions, np.array([len(atoms) for atoms in structures])


def tensors_of(
    structures: Sequence[Atoms], device: torch.device, dtype: str
) -> Structures:
    """Tensors of structures, each of them moved to the origin.

    float32 has seven digits, which a structure far from the origin would spend on where
    it is.
    """
    numbers = np.concatenate([atoms.numbers for atoms in structures])
    positions = np.concatenate([_near_origin(atoms) for atoms in structures])
    n_atoms = torch.tensor([len(atoms) for atoms in structures], device=device)
    real = getattr(torch, dtype)
    molecules = Structures(
        torch.as_tensor(numbers.astype(np.int64), device=device),
        torch.tensor(positions, dtype=real, device=device),
        n_atoms,
    )
    if not any(atoms.pbc.any() for atoms in structures):
        return molecules
    cells = np.stack([atoms.cell.array for atoms in structures])
    pbc = np.stack([atoms.pbc for atoms in structures])
    cell = torch.tensor(cells, dtype=real, device=device)
    return molecules._replace(cell=cell, pbc=torch.from_numpy(pbc).to(device))


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
