"""What the table of columns says, all that stores frames does."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import ase.io
import h5py
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.units import Bohr, Hartree

from ase_physml.calculators.names import make_calculator
from ase_physml.data.columns import BY_NAME, COLUMNS, Column
from ase_physml.data.conversion import find_labels, from_atoms, to_atoms
from ase_physml.data.dataset import RaggedSet, check
from ase_physml.data.frame import Evaluation, Frame
from ase_physml.data.importers.opening import open_source
from ase_physml.data.importers.units import scaled
from ase_physml.data.label import label, less
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write
from ase_physml.errors import DataError

LABELS = [c for c in COLUMNS if c.is_label]
VOIGT = np.array([0.01, 0.02, 0.03, 0.004, 0.005, 0.006])
STRESS = np.array([[0.01, 0.006, 0.005], [0.006, 0.02, 0.004], [0.005, 0.004, 0.03]])


def full(n: int = 4, **given: object) -> Frame:
    """A frame that has everything."""
    random = np.random.default_rng(0)
    numbers = {c.field: random.normal(size=c.shape_of(n)) for c in COLUMNS if c.is_real}
    scalars = {k: v if v.ndim else float(v) for k, v in numbers.items()}
    values = {
        **scalars,
        "numbers": np.full(n, 29, np.uint8),
        "pbc": np.ones(3, dtype=bool),
        "fixed": np.arange(n) < 2,
        "name": "all",
        "smiles": "[Cu]",
    }
    return Frame(**{**values, **given})


def named(column: Column) -> str:
    return column.name


def test_every_field_has_a_column() -> None:
    assert {c.field for c in COLUMNS} == {f.name for f in fields(Frame)}
    assert set(Evaluation._fields) <= {c.name for c in COLUMNS if c.is_label}


@pytest.mark.parametrize("column", LABELS, ids=named)
def test_a_label_is_written_and_read(tmp_path: Path, column: Column) -> None:
    frame = full()
    bare = replace(frame, **{column.field: None})
    path = tmp_path / "set.h5"
    write(path, [bare, frame, bare, frame], Metadata("PBE", equilibrium=False))
    found = [getattr(f, column.field) for f in check(path)]
    assert found[0] is None
    assert found[2] is None
    np.testing.assert_array_equal(found[1], getattr(frame, column.field))
    np.testing.assert_array_equal(found[3], getattr(frame, column.field))
    assert type(found[1]) is type(getattr(frame, column.field))


@pytest.mark.parametrize("column", LABELS, ids=named)
def test_a_label_that_cannot_be_is_refused(tmp_path: Path, column: Column) -> None:
    path = tmp_path / "set.h5"
    wrong = np.zeros((2, *column.shape_of(3)))
    with pytest.raises(DataError, match=rf"{column.name} of shape \(2,"):
        write(path, [full(**{column.field: wrong})], Metadata())
    values = np.asarray(getattr(full(), column.field)) * np.nan
    one = column.name.rstrip("s") if column.per_atom else column.name
    with pytest.raises(DataError, match=f"{one} is NaN or infinite"):
        write(path, [full(**{column.field: values})], Metadata())
    write(path, [full(), full()], Metadata())
    with h5py.File(path, "a") as file:
        file[column.name][-1] = np.inf
    with pytest.raises(DataError, match=f"{column.name} of frame 1 is not finite"):
        check(path)


def test_units_are_converted() -> None:
    frame = full()
    found = scaled(frame, Hartree, Hartree / Bohr, Bohr)
    factors = {
        "positions": Bohr,
        "cell": Bohr,
        "energy": Hartree,
        "forces": Hartree / Bohr,
        "spread": Hartree / Bohr,
        "charges": 1.0,
        "dipole": Bohr,
        "stress": Hartree / Bohr**3,
    }
    assert set(factors) == {c.field for c in COLUMNS if c.unit}
    for name, factor in factors.items():
        np.testing.assert_allclose(getattr(found, name), getattr(frame, name) * factor)


def copper(**results: object) -> Atoms:
    atoms = bulk("Cu", cubic=True)
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


@pytest.mark.parametrize("suffix", ["xyz", "traj"])
def test_stress_is_imported(tmp_path: Path, suffix: str) -> None:
    cell = copper(energy=1.0, forces=np.zeros((4, 3)), stress=VOIGT)
    gas = molecule("H2O")
    gas.calc = SinglePointCalculator(gas, energy=2.0, stress=VOIGT)
    path = tmp_path / f"cells.{suffix}"
    ase.io.write(path, [cell, gas, copper(energy=3.0)])
    found = list(open_source(path))
    assert [f.energy for f in found] == [1.0, 2.0, 3.0]
    np.testing.assert_allclose(found[0].stress, STRESS)
    assert found[1].stress is None
    assert found[2].stress is None
    np.testing.assert_allclose(to_atoms(found[0]).get_stress(), VOIGT)


def test_stress_is_of_the_method_of_the_energy() -> None:
    atoms = copper(energy=1.0, stress=VOIGT)
    atoms.info["REF_energy"] = 2.0
    assert from_atoms(atoms).stress is None
    assert find_labels(atoms, "").stress is None
    np.testing.assert_allclose(find_labels(atoms, "energy").stress, STRESS)
    atoms.info["REF_stress"] = 2 * STRESS.ravel()
    np.testing.assert_allclose(from_atoms(atoms).stress, 2 * STRESS)
    atoms.info["REF_stress"] = np.zeros(4)
    with pytest.raises(DataError, match="'REF_stress' is not a stress"):
        from_atoms(atoms)
    atoms.info["REF_stress"] = np.full(6, np.nan)
    assert from_atoms(atoms).stress is None


def test_stress_is_labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    cell, gas = from_atoms(bulk("Cu", cubic=True)), from_atoms(molecule("CH4"))
    out = tmp_path / "out.h5"
    name = "toy_calculators:Stressed"
    label([cell, gas], out, make_calculator, name, Metadata("toy", equilibrium=False))
    found, other = check(out)
    np.testing.assert_allclose(found.stress, STRESS)
    assert other.stress is None
    # What is not finite is no label, and no reason to lose the others.
    assert found.charges is None
    assert found.energy is not None


def test_a_baseline_comes_off_the_stress() -> None:
    frame, forces = full(), np.zeros((4, 3))
    rest = less(frame, Evaluation(0.0, forces, stress=STRESS))
    np.testing.assert_allclose(rest.stress, frame.stress - STRESS)
    assert less(frame, Evaluation(0.0, forces)).stress is None
    bare = replace(frame, stress=None)
    assert less(bare, Evaluation(0.0, forces, stress=STRESS)).stress is None


def test_files_without_stress_have_no_column(make_set: Callable[[], Path]) -> None:
    data = RaggedSet(make_set())
    assert not data.has("stress")
    assert data.columns[:2] == ("atomic_numbers", "positions")
    assert BY_NAME["stress"].unit == "eV/angstrom^3"
