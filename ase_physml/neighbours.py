"""Neighbours: pairs of atoms near each other, in molecules and in periodic cells."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from vesin import NeighborList

from ase_physml.errors import StructureError
from ase_physml.segment import offsets

Array = npt.NDArray[np.float64]

# From here on, cell lists beat measuring all distances.
_LARGE = 300
# Å, atoms per Å^3, and cells. The shortest bond has 0.74 Å, diamond 0.18 atoms in
# 1 Å^3, and a cube of 1 Å has 69,000 images within 20 Å.
_SHORTEST, _DENSEST, _IMAGES = 0.3, 1.0, 200_000
_SPACE = 3
# Distances measured at a time, so that memory does not grow with their number.
_AT_ONCE = 2_000_000


def pairs_within(positions: Tensor, n_atoms: Tensor, cutoff: float | None) -> Tensor:
    """Pairs of atoms of the same molecule that are closer than ``cutoff``.

    Args:
        positions: (A, 3) Å.
        n_atoms: Atoms per molecule, (M,) int64.
        cutoff: Å; None for all pairs.

    Returns:
        Atoms i < j of each pair, int64 (2, P), in ascending order.
    """
    on_cpu = positions.device.type == "cpu"
    if cutoff is not None and on_cpu and int(n_atoms.max()) > _LARGE:
        return _by_cells(positions, n_atoms, cutoff)
    pairs = _all_pairs(n_atoms)
    if cutoff is None:
        return pairs
    with torch.no_grad():
        near = [
            (positions[i] - positions[j]).square().sum(-1) < cutoff**2
            for i, j in (part.unbind() for part in pairs.split(_AT_ONCE, dim=1))
        ]
    return pairs[:, torch.cat(near)]


def images_within(
    positions: Tensor, n_atoms: Tensor, cell: Tensor, pbc: Tensor, cutoff: float
) -> tuple[Tensor, Tensor]:
    """Pairs of atoms and periodic images that are closer than ``cutoff``.

    A pair is atom i and the image of atom j at ``positions[j] + shift @ cell``. It is
    listed once: (i, j, S) is (j, i, -S) seen from its other end. In a cell smaller than
    the cutoff the same two atoms pair through several shifts, and an atom with images
    of itself.

    Args:
        positions: (A, 3) Å, inside the cell or not.
        n_atoms: Atoms per structure, (M,) int64.
        cell: Lattice vectors in rows, (M, 3, 3) Å, of either handedness.
        pbc: Along which of them a structure repeats, (M, 3) bool; the others mean
            nothing and may be zero.
        cutoff: Å.

    Raises:
        StructureError: A cell has so many images of an atom within reach that no
            structure can be meant: see `_check_cell`.

    Returns:
        Atoms of each pair, int64 (2, P), and shifts, whole numbers in the dtype of the
        positions, (P, 3).
    """
    points = positions.detach().cpu().double().numpy()
    along = pbc.cpu().numpy()
    boxes = np.where(along[..., None], cell.detach().cpu().double().numpy(), 0.0)
    nearby = NeighborList(cutoff=cutoff, full_list=False, sorted=True)
    for box, repeats, count in zip(boxes, along, n_atoms.tolist(), strict=True):
        _check_cell(box[repeats], count, cutoff)
    pairs, shifts = [], []
    starts, counts = offsets(n_atoms).tolist(), n_atoms.tolist()
    for start, count, box, repeats in zip(starts, counts, boxes, along, strict=True):
        pair, shift = nearby.compute(points[start : start + count], box, repeats, "PS")
        pairs.append(start + pair.T.astype(np.int64))
        shifts.append(shift)
    return (
        torch.from_numpy(np.concatenate(pairs, axis=1)).to(positions.device),
        torch.from_numpy(np.concatenate(shifts)).to(positions),
    )


def _check_cell(vectors: Array, count: int, cutoff: float) -> None:
    """Refuse cells whose images would be searched for minutes, and fill the memory.

    Args:
        vectors: Lattice vectors along which a structure repeats, (K, 3) Å.
        count: Atoms in the cell.
        cutoff: Å.

    Raises:
        StructureError: A vector is shorter than `_SHORTEST`, `_IMAGES` are within
            reach, or the cell holds more atoms than `_DENSEST`.
    """
    if not len(vectors):
        return
    shortest = np.linalg.norm(vectors, axis=1).min()
    if not shortest >= _SHORTEST:
        raise StructureError(
            f"the periodic cell has a vector of {shortest:.2g} Å, shorter than "
            f"{_SHORTEST} Å, so that images of an atom lie on top of it: correct the "
            "cell, or atoms.pbc"
        )
    gram = vectors @ vectors.T
    try:
        reciprocal = np.linalg.inv(gram)
    except np.linalg.LinAlgError:
        reciprocal = np.full_like(gram, np.inf)
    # Each way as far as the cutoff, in steps from one lattice plane to the next.
    images = np.prod(2.0 * cutoff * np.sqrt(np.abs(np.diag(reciprocal))) + 1.0)
    if not images <= _IMAGES:
        raise StructureError(
            f"the periodic cell has {images:.2g} images to search for neighbours "
            f"within {cutoff:g} Å, more than {_IMAGES:,}: correct the cell, or reduce "
            "it if it is skewed (ase.geometry.minkowski_reduce)"
        )
    volume = np.sqrt(np.linalg.det(gram))
    if len(vectors) == _SPACE and not count <= _DENSEST * volume:
        raise StructureError(
            f"the periodic cell has {count} atoms in {volume:.3g} Å^3, more than "
            f"{_DENSEST:g} in 1 Å^3, which no solid reaches: correct the cell or the "
            "positions"
        )


Search = Callable[[Tensor, Tensor, Tensor, Tensor, float], tuple[Tensor, Tensor]]
"""Finds the pairs of periodic structures, those beyond the cutoff at will."""


class VerletList:
    """`images_within`, searched anew only when atoms have moved by half a skin.

    What it finds reaches a skin beyond the cutoff, and holds until two atoms can have
    come nearer than the cutoff that were beyond both. Whoever leaves out what is beyond
    the cutoff now has exactly what a new search finds.

    Args:
        skin: Å; 0 searches anew whenever anything has moved.

    Attributes:
        searches: Number of searches so far.
        fresh: The last answer came from a new search.
    """

    def __init__(self, skin: float) -> None:
        self.skin = skin
        self.searches = 0
        self.fresh = False
        self._asked: tuple[Tensor, Tensor, Tensor, Tensor, float] | None = None
        self._found: tuple[Tensor, Tensor] | None = None

    def __call__(
        self,
        positions: Tensor,
        n_atoms: Tensor,
        cell: Tensor,
        pbc: Tensor,
        cutoff: float,
    ) -> tuple[Tensor, Tensor]:
        """As `images_within`, and some pairs beyond the cutoff."""
        asked = (positions.detach(), n_atoms, cell.detach(), pbc, cutoff)
        self.fresh = self._found is None or not self._holds(*asked)
        if self._found is None or self.fresh:
            reach = cutoff + self.skin
            self._found = images_within(positions, n_atoms, cell, pbc, reach)
            self._asked = (asked[0].clone(), n_atoms, asked[2].clone(), pbc, cutoff)
            self.searches += 1
        return self._found

    def _holds(
        self,
        positions: Tensor,
        n_atoms: Tensor,
        cell: Tensor,
        pbc: Tensor,
        cutoff: float,
    ) -> bool:
        """|v'| <= cutoff + skin for every pair vector |v| <= cutoff of now.

        Undoing the strain S of the lattice since the search, r' = r + r S + u leaves
        the rest u of the motion of each atom: v' = v + v S + u_j - u_i.
        """
        assert self._asked is not None
        then, atoms_then, cell_then, pbc_then, cutoff_then = self._asked
        if not (
            cutoff == cutoff_then
            and torch.equal(n_atoms, atoms_then)
            and torch.equal(pbc, pbc_then)
        ):
            return False
        periodic = pbc.unsqueeze(-1)
        strain = torch.linalg.pinv(cell * periodic) @ ((cell_then - cell) * periodic)
        per_atom = strain.repeat_interleave(n_atoms, 0)
        rest = then - positions - (positions.unsqueeze(-2) @ per_atom).squeeze(-2)
        drift = cutoff * torch.linalg.matrix_norm(strain).max()
        return bool(drift + 2.0 * rest.norm(dim=-1).max() <= self.skin)


def _by_cells(positions: Tensor, n_atoms: Tensor, cutoff: float) -> Tensor:
    """The same through vesin's cell lists, whose cost is linear in the atoms."""
    points = positions.detach().double().numpy()
    nearby = NeighborList(cutoff=cutoff, full_list=False)
    found = []
    for start, count in zip(offsets(n_atoms).tolist(), n_atoms.tolist(), strict=True):
        i, j = nearby.compute(
            points[start : start + count], np.zeros((3, 3)), False, "ij"
        )
        pair = np.sort(np.stack([i, j]).astype(np.int64), axis=0)
        found.append(start + pair[:, np.lexsort(pair[::-1])])
    return torch.from_numpy(np.concatenate(found, axis=1))


def _all_pairs(n_atoms: Tensor) -> Tensor:
    """All i < j of the same molecule, (2, P), without an A x A table."""
    starts = offsets(n_atoms)
    total = int(n_atoms.sum())
    device = n_atoms.device
    first = torch.arange(total, device=device)
    ends = torch.repeat_interleave(starts + n_atoms, n_atoms)
    partners = ends - first - 1
    i = torch.repeat_interleave(first, partners)
    step = torch.arange(len(i), device=device)
    j = i + 1 + step - torch.repeat_interleave(offsets(partners), partners)
    return torch.stack([i, j])
