"""Which structures are evaluated together."""

import torch

from ase_physml.calculators.passes import passes

CPU = torch.device("cpu")


def test_structures_of_a_pass_have_equal_size_and_each_has_one() -> None:
    sizes = [3, 9, 3, 20, 9, 3]
    found = list(passes(sizes, CPU))
    assert all(len({sizes[i] for i in some}) == 1 for some in found)
    assert sorted(i for some in found for i in some) == list(range(6))
    assert len(found) == 3


def test_many_are_split() -> None:
    assert [len(some) for some in passes([30] * 7, CPU)] == [3, 3, 1]
    assert [len(some) for some in passes([1000] * 2, CPU)] == [1, 1]


def test_a_gpu_gets_all_at_once() -> None:
    assert list(passes([5, 3], torch.device("cuda"))) == [[1, 0]]


def test_compiled_kernels_take_fewer_at_a_time() -> None:
    assert [len(some) for some in passes([30] * 3, CPU, compiled=True)] == [1, 1, 1]
