"""`physml neb`, end to end with a small random potential."""

from collections.abc import Callable
from pathlib import Path

import pytest
from ase.build import molecule
from ase.io import read, write
from typer.testing import CliRunner, Result

from ase_physml.cli import app
from ase_physml.data.atoms import from_atoms
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
    result = run(*two, "--any-domain")
    assert result.exit_code == 0, result.output
    assert "r-p" in result.stdout and "barrier" in result.stdout
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"r-p.traj", "r-p.png"}
    images = read(tmp_path / "out" / "r-p.traj", ":")
    barrier = max(i.get_potential_energy() for i in images)
    barrier -= images[0].get_potential_energy()
    assert f"{barrier:.3f}" in result.stdout


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
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"a.traj", "a.png"}


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
