"""torch-sim: its own validation, our numbers, and the same minima."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch_sim
from ase import Atoms
from ase.build import bulk, molecule
from torch_sim.models.interface import validate_model_outputs

from ase_physml import PhysMLCalculator, relax_many
from ase_physml.engines.torch_sim import PhysMLModel
from ase_physml.errors import StructureError
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.model import PhysML
from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import save_model

CPU = torch.device("cpu")
NAMES = ["CH3CH2OH", "CH3OH", "C2H6", "H2O", "CH3OH"]


@pytest.fixture(scope="module")
def of_solids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, for the silicon and iron of torch-sim's validation."""
    config = PhysMLConfig(
        elements=(14, 26), cutoff=4.0, pair_cutoff=5.0,
        width=16, depth=2, heads=2, n_basis=8,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("potentials") / "solids.pt"
    card = ModelCard.for_model(
        config, name="solids", level_of_theory="none", domain="off-equilibrium"
    )
    torch.manual_seed(0)
    save_model(path, PhysML(config), card)
    return path


@pytest.fixture
def structures() -> list[Atoms]:
    found = [molecule(name) for name in NAMES]
    for seed, atoms in enumerate(found):
        atoms.rattle(0.05, seed=seed)
    return found


@pytest.mark.filterwarnings("ignore:.*trained on molecules.*")
def test_its_own_validation(of_solids: Path) -> None:
    validate_model_outputs(PhysMLModel(of_solids, device="cpu"), CPU, torch.float64)


@pytest.mark.filterwarnings("ignore:.*trained on molecules.*")
@pytest.mark.parametrize("periodic", [False, True])
def test_inference_mode_of_the_caller(of_solids: Path, periodic: bool) -> None:
    atoms = bulk("Si") if periodic else Atoms("Si2", [[0, 0, 0], [0, 0, 2.2]])
    model = PhysMLModel(of_solids, device="cpu", compute_stress=periodic)
    state = torch_sim.initialize_state([atoms], CPU, torch.float64)
    expected = model(state)
    with torch.inference_mode():
        found = model(torch_sim.initialize_state([atoms], CPU, torch.float64))
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values)


@pytest.mark.parametrize("equal", [False, True])
def test_numbers_are_those_of_the_calculator(
    tiny_committee: Path, structures: list[Atoms], equal: bool
) -> None:
    some = [a for a in structures if len(a) == 6] if equal else structures
    state = torch_sim.initialize_state(some, CPU, torch.float64)
    found = PhysMLModel(tiny_committee, device="cpu")(state)
    wanted = PhysMLCalculator(tiny_committee, device="cpu").calculate_many(some)
    energies = [one["energy"] for one in wanted]
    forces = np.concatenate([one["forces"] for one in wanted])
    np.testing.assert_allclose(found["energy"], energies, atol=1e-9)
    np.testing.assert_allclose(found["forces"], forces, atol=1e-9)
    assert "stress" not in found


@pytest.mark.filterwarnings("ignore:.*trained on molecules.*")
def test_stress_is_that_of_the_calculator(of_solids: Path) -> None:
    solids = [bulk("Si", cubic=True), bulk("Fe", "bcc", cubic=True).repeat((2, 1, 1))]
    for seed, atoms in enumerate(solids):
        atoms.rattle(0.1, seed=seed)
    state = torch_sim.initialize_state(solids, CPU, torch.float64)
    model = PhysMLModel(of_solids, device="cpu", compute_stress=True)
    calculator = PhysMLCalculator(of_solids, device="cpu")
    for atoms, stress in zip(solids, model(state)["stress"], strict=True):
        atoms.calc = calculator
        np.testing.assert_allclose(stress, atoms.get_stress(voigt=False), atol=1e-10)


def test_the_same_minima(structures: list[Atoms]) -> None:
    # Tight: methyl groups turn for next to nothing.
    fmax = 2e-4
    ours = relax_many(structures, PhysMLCalculator("qm9.pt", device="cpu"), fmax=fmax)
    theirs = torch_sim.optimize(
        structures,
        PhysMLModel("qm9.pt", device="cpu"),
        optimizer=torch_sim.optimizers.fire,
        convergence_fn=torch_sim.runners.generate_force_convergence_fn(
            fmax, include_cell_forces=False
        ),
        max_steps=2000,
    )
    found = torch_sim.io.state_to_atoms(theirs)
    for one, atoms, energy in zip(ours, found, theirs.energy, strict=True):
        assert one.converged
        assert float(energy) == pytest.approx(one.energies[-1], abs=1e-5)
        distances = one.atoms.get_all_distances()
        np.testing.assert_allclose(atoms.get_all_distances(), distances, atol=5e-3)


def test_what_it_refuses(tiny_potential: Path) -> None:
    model = PhysMLModel(tiny_potential, device="cpu")
    with pytest.raises(StructureError, match="knows H, C, N, O, not Si"):
        model(torch_sim.initialize_state([molecule("SiH4")], CPU, torch.float64))
    water = torch_sim.initialize_state([molecule("H2O")], CPU, torch.float64)
    model.compute_stress = True
    with pytest.raises(StructureError, match="molecules have no stress"):
        model(water)
