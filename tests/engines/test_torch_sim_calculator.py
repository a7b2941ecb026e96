"""A model of torch-sim in our workflows."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import molecule

pytest.importorskip("torch_sim")

from ase_physml import PhysMLCalculator, relax_many, vibrations_many
from ase_physml.calculators.names import name_of
from ase_physml.engines.torch_sim import PhysMLModel
from ase_physml.engines.torch_sim_calculator import TorchSimCalculator
from ase_physml.errors import PotentialError
from ase_physml.workflows.vibrations.normal_modes import Vibrations


@pytest.fixture
def calculator(tiny_potential: Path) -> TorchSimCalculator:
    return TorchSimCalculator(PhysMLModel(tiny_potential, device="cpu"), "tiny")


def test_batches_are_those_of_the_model(
    calculator: TorchSimCalculator, tiny_potential: Path
) -> None:
    structures = [molecule(name) for name in ("CH3OH", "H2O", "C2H6")]
    expected = PhysMLCalculator(tiny_potential, device="cpu").calculate_many(structures)
    found = calculator.calculate_many(structures)
    for one, other in zip(found, expected, strict=True):
        assert one["energy"] == pytest.approx(other["energy"], abs=1e-6)
        np.testing.assert_allclose(one["forces"], other["forces"], atol=1e-6)
    assert name_of(calculator) == "tiny"


def test_workflows_take_it_in_batches(
    calculator: TorchSimCalculator, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    forward = PhysMLModel.forward

    def counted(self: PhysMLModel, state: object, **options: object) -> object:
        passes.append(int(state.n_systems))  # type: ignore[attr-defined]
        return forward(self, state, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(PhysMLModel, "forward", counted)
    waters = [molecule("H2O"), molecule("H2O")]
    relax_many(waters, calculator, steps=2, fmax=1e-9)
    assert passes == [2, 2, 2]
    passes.clear()
    (found,) = vibrations_many(waters[0], calculator)
    assert isinstance(found, Vibrations) and passes == [19]


def test_what_is_no_such_model_is_refused(tiny_potential: Path) -> None:
    with pytest.raises(PotentialError, match="no model of torch-sim"):
        TorchSimCalculator(torch.nn.Linear(1, 1))
    model = PhysMLModel(tiny_potential, device="cpu")
    model.compute_forces = False
    with pytest.raises(PotentialError, match="no forces"):
        TorchSimCalculator(model)
