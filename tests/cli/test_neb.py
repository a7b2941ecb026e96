"""`physml neb`, end to end with a small random potential."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from ase.build import add_adsorbate, fcc100, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import read, write
from ase.optimize import BFGS
from typer.testing import CliRunner, Result

from ase_physml.cli import app
from ase_physml.data.conversion import from_atoms
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write as write_set
from ase_physml.errors import DataError, StructureError

Run = Callable[..., Result]


@pytest.fixture
def run(tiny_potential: Path, tmp_path: Path) -> Run:
    def call(*arguments: str | Path) -> Result:
        options = ["--model", str(tiny_potential), "--out", str(tmp_path / "out")]
        quick = ["--images", "4", "--steps", "2", "--no-relax-ends"]
        line = ["neb", *map(str, arguments), *options, *quick]
        return CliRunner().invoke(app, line)

    return call


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    first, last = molecule("CH3OH"), molecule("CH3OH")
    last.rattle(0.1, seed=0)
    write(tmp_path / "r.xyz", first)
    write(tmp_path / "p.xyz", last)
    return [tmp_path / "r.xyz", tmp_path / "p.xyz"]


def test_two_files_to_a_path(run: Run, two: list[Path], tmp_path: Path) -> None:
    result = run(*two, "--any-domain", "--fmax", 1e3)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"r-p.traj", "r-p.png", "r-p.saddle.json", "paths.html"}
    assert "r-p: product aligned with reactant" in result.stdout
    images = read(tmp_path / "out" / "r-p.traj", ":")
    barrier = max(i.get_potential_energy() for i in images)
    barrier -= images[0].get_potential_energy()
    assert f"{barrier:.3f}" in result.stdout
    # The small potential goes downhill all the way: no barrier, and a script is told.
    assert result.exit_code == 1
    assert "no maximum inside" in result.stdout
    assert "no maximum inside" in images[0].info["verdict"]


def test_a_band_that_has_not_converged_is_no_success(
    run: Run, two: list[Path], tmp_path: Path
) -> None:
    result = run(*two, "--any-domain", "--no-saddles")
    assert result.exit_code == 1
    assert "r-p: not converged" in result.stdout and "±" not in result.stdout
    (image, *_) = read(tmp_path / "out" / "r-p.traj", ":")
    assert "not converged" in image.info["verdict"]


def hop(tmp_path: Path) -> list[Path]:
    """A gold atom from one hollow of a copper face to the next, across the edge."""
    slab = fcc100("Cu", (3, 2, 1), vacuum=6.0)
    add_adsorbate(slab, "Au", 1.8, "hollow")
    slab.set_constraint(FixAtoms(range(6)))
    ends = [slab, slab.copy()]
    ends[1].positions[-1, 0] -= slab.cell[0, 0] / 3
    ends[1].wrap()
    for atoms, name in zip(ends, ("a", "b"), strict=True):
        atoms.calc = EMT()
        BFGS(atoms, logfile=None).run(fmax=0.05, steps=50)
        write(tmp_path / f"{name}.traj", atoms)
    return [tmp_path / "a.traj", tmp_path / "b.traj"]


def test_a_slab_with_a_calculator_of_ase(tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = ["neb", *hop(tmp_path), "--model", "emt", "--out", out, "--images", "5"]
    result = CliRunner().invoke(app, [*map(str, line), "--no-relax-ends"])
    assert result.exit_code == 0, result.output
    assert "on the surface of emt" in result.stdout
    assert "a-b: not aligned: periodic" in result.stdout
    assert "FixAtoms kept" in result.stdout
    images = read(out / "a-b.traj", ":")
    assert {image.info["verdict"] for image in images} == {
        "PASS: joins reactant and product"
    }
    stored = json.loads((out / "a-b.saddle.json").read_text())
    assert stored["grade"] == "PASS" and "PASS" in result.stdout
    # What holds the slab holds the saddle too, and energy and forces are kept with it.
    saddle = read(out / "a-b.saddle.xyz")
    assert saddle.get_potential_energy() == pytest.approx(stored["energy"])
    assert stored["barrier"] == pytest.approx(stored["barrier_back"], abs=1e-3)
    assert stored["frequencies_per_cm"][0] < 0.0 and saddle.constraints
    # Up over the bridge, not through the cell.
    heights = [image.positions[-1, 2] for image in images]
    assert heights[2] > heights[0] + 0.1


def test_domain_is_asked_for(run: Run, two: list[Path]) -> None:
    result = run(*two)
    assert isinstance(result.exception, StructureError)
    assert "--any-domain" in str(result.exception)


def test_a_set_of_reactions(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "set.h5"
    structures = {
        "a/r": molecule("CH4"), "a/ts": molecule("CH4"), "a/p": molecule("CH4"),
        "b/r": molecule("CH4"), "b/p": molecule("NH3"), "lonely/r": molecule("H2O"),
    }  # fmt: skip
    structures["a/p"].rattle(0.1, seed=1)
    for name, atoms in structures.items():
        atoms.info["name"] = name
    write_set(path, map(from_atoms, structures.values()), Metadata())
    result = run(path, "--any-domain")
    assert result.exit_code == 1
    assert "b: the ends are different molecules" in result.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names >= {"a.traj", "a.png", "a.saddle.json"}
    assert not any(name.startswith("b") for name in names)


def test_inputs_that_are_no_reactions(
    run: Run, two: list[Path], tmp_path: Path
) -> None:
    result = run(two[0])
    assert isinstance(result.exception, StructureError)
    assert "a reactant and a product" in str(result.exception)
    assert isinstance(run(two[0], tmp_path / "no.xyz").exception, StructureError)
    write_set(tmp_path / "set.h5", [from_atoms(molecule("H2O"))], Metadata())
    result = run(tmp_path / "set.h5")
    assert isinstance(result.exception, DataError)
    assert "no reactions" in str(result.exception)
