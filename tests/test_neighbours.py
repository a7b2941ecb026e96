"""Pairs of atoms, by every way of finding them."""

from collections import Counter
from itertools import product

import pytest
import torch
from torch import Tensor

from ase_physml import neighbours
from ase_physml.neighbours import VerletList, images_within, pairs_within


@pytest.fixture
def positions() -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return 4.0 * torch.rand(40, 3, generator=generator, dtype=torch.float64)


N_ATOMS = torch.tensor([25, 1, 14])


def test_pairs_are_those_of_the_definition(positions: torch.Tensor) -> None:
    owner = torch.repeat_interleave(torch.arange(3), N_ATOMS)
    expected = [
        (i, j)
        for i in range(40)
        for j in range(i + 1, 40)
        if owner[i] == owner[j] and (positions[i] - positions[j]).norm() < 2.5
    ]
    found = pairs_within(positions, N_ATOMS, 2.5)
    assert [tuple(pair) for pair in found.T.tolist()] == expected


def test_cell_lists_find_the_same(
    positions: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = pairs_within(positions, N_ATOMS, 2.5)
    monkeypatch.setattr(neighbours, "_LARGE", 10)
    monkeypatch.setattr(neighbours, "_all_pairs", None)  # would fail if called
    assert torch.equal(pairs_within(positions, N_ATOMS, 2.5), measured)


def test_measuring_in_parts_finds_the_same(
    positions: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = pairs_within(positions, N_ATOMS, 2.5)
    monkeypatch.setattr(neighbours, "_AT_ONCE", 7)
    assert torch.equal(pairs_within(positions, N_ATOMS, 2.5), at_once)


def test_no_cutoff_gives_all(positions: torch.Tensor) -> None:
    assert (
        pairs_within(positions, N_ATOMS, None).shape[1] == 25 * 24 // 2 + 14 * 13 // 2
    )


Pair = tuple[int, int, tuple[int, ...]]


def images_by_definition(
    positions: Tensor, cell: Tensor, pbc: list[bool], cutoff: float, reach: int = 9
) -> Counter[Pair]:
    """Every (i, j, shift) nearer than the cutoff, seen from both of its ends."""
    found: Counter[Pair] = Counter()
    for shift in product(*(range(-reach, reach + 1) if p else (0,) for p in pbc)):
        images = positions + torch.tensor(shift, dtype=cell.dtype) @ cell
        for i, j in (torch.cdist(positions, images) < cutoff).nonzero().tolist():
            if i != j or any(shift):
                found[i, j, shift] += 1
    return found


def both_ends(pairs: Tensor, shifts: Tensor) -> Counter[Pair]:
    found: Counter[Pair] = Counter()
    for (i, j), shift in zip(pairs.T.tolist(), shifts.int().tolist(), strict=True):
        found[i, j, tuple(shift)] += 1
        found[j, i, tuple(-s for s in shift)] += 1
    return found


CELLS = {
    "small": [[1.9, 0, 0], [0, 2.2, 0], [0, 0, 2.5]],
    "skewed": [[3.0, 0, 0], [2.9, 1.2, 0], [-2.0, 1.0, 2.4]],
    "left-handed": [[0, 3.0, 0.2], [3.3, 0.4, 0], [0.3, 0, 3.6]],
    "large": [[9.0, 0, 0], [1.0, 8.0, 0], [0, 0, 11.0]],
}
DIRECTIONS = [list(pbc) for pbc in product([True, False], repeat=3)]


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())
@pytest.mark.parametrize("pbc", DIRECTIONS, ids=str)
def test_images_are_those_of_the_definition(
    cell: list[list[float]], pbc: list[bool]
) -> None:
    lattice = torch.tensor(cell, dtype=torch.float64)
    generator = torch.Generator().manual_seed(5)
    # Some of the atoms lie outside the cell, on either side.
    scaled = 3.0 * torch.rand(5, 3, generator=generator, dtype=torch.float64) - 1.0
    positions = scaled @ lattice
    expected = images_by_definition(positions, lattice, pbc, 3.5)
    n_atoms, periodic = torch.tensor([5]), torch.tensor([pbc])
    bare = lattice * periodic[0].unsqueeze(-1)  # directions that mean nothing are zero
    for given in (lattice, bare):
        pairs, shifts = images_within(positions, n_atoms, given[None], periodic, 3.5)
        assert both_ends(pairs, shifts) == expected


class Crystal:
    """Two structures that shake and breathe, and the lists of their neighbours."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(7)
        self.positions = 4.0 * torch.rand(9, 3, generator=generator).double()
        self.cell = torch.stack([4.0 * torch.eye(3), 5.0 * torch.eye(3)]).double()
        self.pbc = torch.tensor([[True] * 3, [True, True, False]])
        self.n_atoms = torch.tensor([4, 5])
        self.generator = generator

    def shake(self, step: float) -> None:
        noise = torch.randn(9, 3, generator=self.generator).double()
        self.positions = self.positions + step * noise

    def strain(self, size: float) -> None:
        change = torch.eye(3) + size * torch.randn(3, 3, generator=self.generator)
        self.cell = self.cell @ change.double()
        self.positions = self.positions @ change.double()

    def within(self, pairs: Tensor, shifts: Tensor, cutoff: float) -> Counter[Pair]:
        owner = torch.repeat_interleave(torch.arange(2), self.n_atoms)
        moved = torch.einsum("ps,psx->px", shifts, self.cell[owner[pairs[0]]])
        vectors = self.positions[pairs[1]] + moved - self.positions[pairs[0]]
        near = vectors.norm(dim=-1) < cutoff
        return both_ends(pairs[:, near], shifts[near])

    def compare(self, verlet: VerletList, cutoff: float = 4.5) -> None:
        asked = (self.positions, self.n_atoms, self.cell, self.pbc, cutoff)
        kept = self.within(*verlet(*asked), cutoff)
        assert kept == self.within(*images_within(*asked), cutoff)


def test_a_skin_saves_searches_and_misses_nothing() -> None:
    crystal, verlet = Crystal(), VerletList(skin=1.0)
    for _ in range(30):
        crystal.shake(0.03)
        crystal.compare(verlet)
    assert 1 < verlet.searches < 15


def test_a_skin_allows_for_strain() -> None:
    crystal, verlet = Crystal(), VerletList(skin=1.0)
    for _ in range(30):
        crystal.strain(0.01)
        crystal.compare(verlet)
    assert 1 < verlet.searches < 25
    crystal.cell = 1.5 * crystal.cell  # the atoms stay where they are
    searches = verlet.searches
    crystal.compare(verlet)
    assert verlet.searches == searches + 1


def test_a_skin_is_for_one_structure_and_cutoff() -> None:
    crystal, verlet = Crystal(), VerletList(skin=1.0)
    crystal.compare(verlet)
    crystal.compare(verlet)
    assert verlet.searches == 1
    crystal.compare(verlet, cutoff=3.0)
    assert verlet.searches == 2
    crystal.pbc = ~crystal.pbc
    crystal.compare(verlet, cutoff=3.0)
    assert verlet.searches == 3
    crystal.n_atoms = torch.tensor([5, 4])
    crystal.compare(verlet, cutoff=3.0)
    assert verlet.searches == 4
    crystal.positions[0] += crystal.cell[0, 0]  # wrapped to the other side
    crystal.compare(verlet, cutoff=3.0)
    assert verlet.searches == 5
