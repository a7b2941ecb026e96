"""Pairs of atoms, by both ways of finding them."""

import pytest
import torch

from ase_physml import neighbours
from ase_physml.neighbours import pairs_within


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
