"""Which structures are evaluated together."""

from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms

from ase_physml.calculators.batching import batches_of

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def molecules(sizes: Sequence[int]) -> list[Atoms]:
    return [Atoms(numbers=np.ones(n)) for n in sizes]


def lengths(sizes: Sequence[int], compiled: bool = False) -> list[int]:
    return [len(some) for some in batches_of(molecules(sizes), CPU, compiled)]


def test_structures_of_a_pass_have_equal_size_and_each_has_one() -> None:
    sizes = [3, 9, 3, 20, 9, 3]
    found = list(batches_of(molecules(sizes), CPU))
    assert all(len({sizes[i] for i in some}) == 1 for some in found)
    assert sorted(i for some in found for i in some) == list(range(6))
    assert len(found) == 3


def test_many_are_split() -> None:
    assert lengths([30] * 7) == [3, 3, 1]
    assert lengths([1000] * 2) == [1, 1]


def test_cells_are_apart() -> None:
    structures = molecules([5, 3, 5, 3])
    for k in (1, 2):
        structures[k].pbc, structures[k].cell = True, 9 * np.eye(3)
    assert list(batches_of(structures, CPU)) == [[3], [0], [1], [2]]
    assert list(batches_of(structures, GPU)) == [[3, 0], [1, 2]]
    assert list(batches_of(structures[1:3], GPU)) == [[0, 1]]


def test_a_gpu_gets_all_at_once() -> None:
    assert list(batches_of(molecules([5, 3]), GPU)) == [[1, 0]]


def test_compiled_kernels_take_fewer_at_a_time() -> None:
    assert lengths([30] * 3, compiled=True) == [1, 1, 1]
