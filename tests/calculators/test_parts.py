"""Parts that attention does not link: found in every layout, warned of once."""

import copy
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, graphene, molecule

from ase_physml import PhysMLCalculator, relax_many
from ase_physml.calculators.batching import tensors_of
from ase_physml.calculators.parts import unlinked_atoms
from ase_physml.errors import PotentialError, StructureError
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.model import PhysML
from ase_physml.potential import graph_of

CONFIG = PhysMLConfig(elements=(1, 6, 8), cutoff=4.0, pair_cutoff=9.0)
WARNS = "more than 5 Å from each other"


def parts(atoms: Atoms, config: PhysMLConfig = CONFIG) -> tuple[int, int] | None:
    given = tensors_of([atoms], torch.device("cpu"), "float64")
    graph = graph_of(given, config)
    return unlinked_atoms(graph, config)


def two(gap: float, name: str = "CH4") -> Atoms:
    one, other = molecule(name), molecule(name)
    extent = np.ptp(one.positions[:, 0])
    other.positions[:, 0] += extent + gap
    return one + other


def chain(count: int, step: float) -> Atoms:
    return Atoms("C" * count, [[step * k, 0, 0] for k in range(count)])


def boxed(atoms: Atoms, edge: float) -> Atoms:
    atoms.set_cell([edge] * 3)
    atoms.pbc = True
    return atoms


LINKED = {
    "alone": Atoms("C"),
    "molecule": molecule("CH4"),
    "near": two(3.0),
    # Longer than the cutoff by far, each atom a neighbour of the next.
    "chain": chain(9, 3.5),
    "long chain": chain(120, 3.5),
    "crystal": bulk("C"),
    "crystal of one atom": Atoms("C", cell=[2.5] * 3, pbc=True),
    "sheet": graphene(vacuum=8.0),
    "in a large box": boxed(molecule("CH4"), 20.0),
    "crystal of molecules": boxed(molecule("CH4"), 4.5),
}  # fmt: skip
APART = {
    "far": two(6.0),
    "beyond the pair terms": two(30.0),
    "two chains": chain(3, 3.5) + Atoms("C", [[30, 0, 0]]),
    "many": chain(120, 3.5) + Atoms("C", [[0, 6, 0]]),
    "image": boxed(molecule("CH4"), 8.0),
    "two in a box": boxed(two(6.0), 40.0),
    "layers": Atoms("C2", [[0, 0, 0], [1.4, 0, 0]], cell=[2.8, 2.8, 7], pbc=True),
}  # fmt: skip


@pytest.mark.parametrize("atoms", LINKED.values(), ids=LINKED.keys())
def test_linked(atoms: Atoms) -> None:
    assert parts(atoms) is None


@pytest.mark.parametrize("atoms", APART.values(), ids=APART.keys())
def test_apart(atoms: Atoms) -> None:
    found = parts(atoms)
    assert found is not None
    assert all(0 <= place < len(atoms) for place in found)


def test_the_second_of_a_batch_and_its_own_numbers() -> None:
    for pbc in (False, True):
        batch = [boxed(molecule("CH4"), 30.0), boxed(two(6.0), 30.0)]
        for atoms in batch:
            atoms.pbc = pbc
        given = tensors_of(batch, torch.device("cpu"), "float64")
        graph = graph_of(given, CONFIG)
        assert unlinked_atoms(graph, CONFIG) == (0, 5)


def test_terms_that_reach_no_farther() -> None:
    short = PhysMLConfig(elements=(1, 6), cutoff=4.0, pair_cutoff=4.0)
    none = PhysMLConfig(elements=(1, 6), cutoff=4.0, pair_energy=False)
    assert parts(two(6.0), short) is None
    assert parts(two(6.0), none) is None
    endless = PhysMLConfig(elements=(1, 6), cutoff=4.0, pair_cutoff=None)
    assert parts(two(6.0), endless) is not None


def test_a_calculator_warns_once(tiny_potential: Path) -> None:
    calculator = PhysMLCalculator(tiny_potential, device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calculator.calculate_many([molecule("C6H6"), two(2.0)])
    images = [two(gap) for gap in (2.0, 6.0, 7.0)]
    for atoms in images:
        atoms.calc = copy.copy(calculator)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for atoms in images:
            atoms.get_forces()
        calculator.calculate_many(images)
        relax_many(images, calculator, steps=1)
    assert len([one for one in said if WARNS in str(one.message)]) == 1
    with pytest.warns(UserWarning, match=r"tiny.pt: atoms 0 and 5 .* up to 20 Å"):
        PhysMLCalculator(tiny_potential, device="cpu").get_forces(two(6.0))


@pytest.mark.parametrize(
    "switches",
    [{"cls": "one-way", "cls_energy": True}, {"cls": "two-way"}],
    ids=["energy of the token", "two-way"],
)
def test_a_token_that_reads_everything(switches: dict[str, Any]) -> None:
    """Two molecules far apart would change each other's energy: refused, each time."""
    config = replace(CONFIG, width=8, depth=1, heads=2, n_basis=4, **switches)
    calculator = PhysMLCalculator(PhysML(config), device="cpu")
    one = calculator.calculate_many([molecule("CH4")])
    assert np.isfinite(one[0]["energy"])
    for _ in range(2):
        with pytest.raises(StructureError, match=r"separate parts .* would not add up"):
            calculator.calculate_many([two(6.0)])
    # One-way without an energy of its own it only listens.
    listening = replace(config, cls="one-way", cls_energy=False, pair_cutoff=4.0)
    quiet = PhysMLCalculator(PhysML(listening), device="cpu")
    together = quiet.calculate_many([two(6.0)])[0]["energy"]
    alone = quiet.calculate_many([molecule("CH4")])[0]["energy"]
    assert together == pytest.approx(2 * alone, abs=1e-9)


def test_a_bond_graph_that_no_structure_has() -> None:
    config = replace(CONFIG, width=8, depth=1, heads=2, n_basis=4, a_mask=True)
    with pytest.raises(PotentialError, match=r"A-mask .* reads a bond graph"):
        PhysMLCalculator(PhysML(config), device="cpu")


def test_parts_with_charges_may_be_apart() -> None:
    """By torch and by native code alike: nothing is warned of."""
    config = replace(CONFIG, width=8, depth=1, heads=2, n_basis=4)
    model = PhysML(replace(config, pair_terms="physical"))
    for backend in ("torch", "auto"):
        calculator = PhysMLCalculator(model, device="cpu", backend=backend)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            calculator.calculate_many([two(6.0)])
