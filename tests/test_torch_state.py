"""Whatever torch is set to in a process, results are the same, and it stays so."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.mep import NEB

from ase_physml import (
    BatchedNEB,
    HamNetCalculator,
    PhysChemCalculator,
    PhysMLCalculator,
    fingerprints,
    generate_conformers,
    predict_properties,
    relax_many,
)
from ase_physml.evaluation.suites.masked import slide
from ase_physml.models.hamnet.config import HamNetConfig
from ase_physml.models.hamnet.engine import HamNetEngine
from ase_physml.models.physchem.config import PhysChemConfig
from ase_physml.models.physchem.model import PhysChem
from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import load_potential, save_model
from ase_physml.torch_state import plain_torch


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def default_device() -> Iterator[None]:
    # Tensors of this one hold nothing: whatever is computed with one fails.
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


STATES: dict[str, Callable[[], Any]] = {
    "float64": lambda: default_dtype(torch.float64),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "inference": torch.inference_mode,
    "no gradients": torch.no_grad,
    "device": default_device,
    "device here": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
}

Models = dict[str, Path]


@pytest.fixture(scope="module")
def models(
    tiny_potential: Path,
    tiny_committee: Path,
    tiny_conformations: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Models:
    folder = tmp_path_factory.mktemp("models")
    found = {
        "potential": tiny_potential,
        "committee": tiny_committee,
        "conformations": tiny_conformations,
        "properties": folder / "properties.pt",
        "engine": folder / "engine.pt",
    }
    # Equivariant forces: the one law that has numbers of its own besides weights.
    small = {"atom_width": 16, "bond_width": 8, "pair_width": 8, "molecule_width": 16}
    properties = PhysChemConfig(forces="equivariant", targets=2, **small)
    engine = HamNetConfig(state_width=4, gcn_width=8, steps=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name, model in (
            ("properties", PhysChem(properties)),
            ("engine", HamNetEngine(engine)),
        ):
            kind = "physchem" if name == "properties" else "hamnet"
            names = ["one", "two"] if name == "properties" else []
            card = ModelCard(
                name=name,
                kind=kind,
                architecture=model.config.to_dict(),
                target_names=names,
            )
            save_model(found[name], model, card)
    return found


def rattled(name: str) -> Atoms:
    atoms = molecule(name)
    atoms.rattle(0.05, seed=0)
    return atoms


def forces(models: Models) -> np.ndarray:
    atoms = rattled("CH3OH")
    atoms.calc = PhysMLCalculator(models["potential"], device="cpu")
    return atoms.get_forces()


def forces_in_float32(models: Models) -> np.ndarray:
    calculator = PhysMLCalculator(models["potential"], device="cpu", dtype="float32")
    return calculator.calculate_many([rattled("CH3OH")])[0]["forces"]


def forces_of_a_module(models: Models) -> np.ndarray:
    model, _ = load_potential(models["potential"])
    calculator = PhysMLCalculator(model, device="cpu")
    return calculator.calculate_many([rattled("CH3OH")])[0]["forces"]


def stress(models: Models) -> np.ndarray:
    atoms = bulk("C")
    atoms.calc = PhysMLCalculator(models["potential"], device="cpu")
    return atoms.get_stress()


def spread(models: Models) -> np.ndarray:
    calculator = PhysMLCalculator(models["committee"], device="cpu")
    return calculator.get_property("forces_std", rattled("H2O"))


def pair_parameters(models: Models) -> np.ndarray:
    calculator = PhysMLCalculator(models["potential"], device="cpu")
    return calculator.pair_parameters(rattled("H2O")).depth.numpy()


def relaxed(models: Models) -> np.ndarray:
    calculator = PhysMLCalculator(models["potential"], device="cpu")
    (found,) = relax_many([rattled("H2O")], calculator, steps=2)
    return found.atoms.positions


def band(models: Models) -> np.ndarray:
    images = [molecule("H2O"), rattled("H2O"), rattled("H2O")]
    path: NEB = BatchedNEB(images, PhysMLCalculator(models["potential"], device="cpu"))
    return path.get_forces()


def hidden_atom(models: Models) -> np.ndarray:
    calculator = PhysMLCalculator(models["potential"], device="cpu")
    return slide(calculator, molecule("CH4"), 0)[6]


def conformers(models: Models) -> np.ndarray:
    return generate_conformers("CCO", 2, models["conformations"])[0].positions


def properties(models: Models) -> np.ndarray:
    return predict_properties(["CCO", "CN"], models["properties"]).values


def prints(models: Models) -> np.ndarray:
    return fingerprints(["CCO"], models["properties"])


def physchem(models: Models) -> np.ndarray:
    calculator = PhysChemCalculator(models["conformations"], smiles="CCO")
    atoms = calculator.conformation()
    return calculator.get_property("physnet_forces", atoms)


def hamnet(models: Models) -> np.ndarray:
    calculator = HamNetCalculator(models["engine"], smiles="CCO", check_bonds=False)
    return calculator.get_forces(molecule("CH3CH2OH")[[0, 1, 2]])


ENTRIES = (
    forces, forces_in_float32, forces_of_a_module, stress, spread, pair_parameters,
    relaxed, band, hidden_atom, conformers, properties, prints, physchem, hamnet,
)  # fmt: skip


@pytest.fixture(scope="module")
def expected(models: Models) -> dict[str, np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {entry.__name__: entry(models) for entry in ENTRIES}


def seen() -> tuple[object, ...]:
    return (
        torch.get_default_dtype(),
        torch.empty(0).device,
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.__name__)
def test_results_are_the_same(
    models: Models,
    expected: dict[str, np.ndarray],
    entry: Callable[[Models], np.ndarray],
    state: str,
) -> None:
    with STATES[state]():
        before = seen()
        found = entry(models)
        assert seen() == before
    np.testing.assert_allclose(found, expected[entry.__name__], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("state", STATES)
def test_weights_loaded_in_any_state_are_of_use_in_others(
    models: Models, tmp_path: Path, state: str
) -> None:
    # A file of its own, which no other test has in the cache of loaded ones.
    path = tmp_path / "mine.pt"
    path.write_bytes(models["potential"].read_bytes())
    with STATES[state]():
        calculator = PhysMLCalculator(path, device="cpu")
    expected = PhysMLCalculator(models["potential"], device="cpu")
    np.testing.assert_array_equal(
        calculator.get_forces(rattled("H2O")), expected.get_forces(rattled("H2O"))
    )


def test_a_module_that_was_built_in_float64() -> None:
    config = PhysChemConfig(atom_width=16, bond_width=8, molecule_width=16, targets=1)
    with default_dtype(torch.float64):
        model = PhysChem(config)
    found = predict_properties(["CCO"], model).values
    close = predict_properties(["CCO"], model.float()).values
    np.testing.assert_allclose(found, close, rtol=1e-4)


def test_gradients_stay_as_they_are_found() -> None:
    with torch.no_grad(), plain_torch():
        assert not torch.is_grad_enabled()
    with torch.inference_mode(), plain_torch():
        assert not torch.zeros(1).is_inference()
