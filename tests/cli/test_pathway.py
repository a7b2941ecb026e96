"""`physml pathway`, end to end with small random models."""

from collections.abc import Callable
from pathlib import Path

import pytest
from ase.build import molecule
from ase.io import read, write
from typer.testing import CliRunner, Result

from ase_physml.cli import app
from ase_physml.cli.pathway import _read as read_reactions
from ase_physml.errors import DataError, StructureError

Run = Callable[..., Result]
ENOL = "[CH3:1][C:2](=[O:3])[CH3:4]>>[CH3:1][C:2]([OH:3])=[CH2:4]"
FILES = {
    "reactant.xyz", "product.xyz", "ends.traj", "path.traj", "path.png", "steps.json",
    "path.saddle.json", "paths.html",
}  # fmt: skip


@pytest.fixture
def run(tiny_potential: Path, tiny_conformations: Path, tmp_path: Path) -> Run:
    def call(*arguments: str | Path) -> Result:
        models = ["--model", tiny_potential, "--conformations", tiny_conformations]
        # The small potential knows no chemistry: structures are to stay as they are.
        quick = ["--images", 4, "--steps", 2, "-n", 2, "--end-fmax", 1000]
        line = ["pathway", *arguments, *models, "--out", tmp_path / "out", *quick]
        return CliRunner().invoke(app, [*map(str, line), "--any-domain"])

    return call


def test_smiles_to_a_barrier(run: Run, tmp_path: Path) -> None:
    result = run(ENOL)
    # Two steps are no converged band.
    assert result.exit_code == 1, result.output
    assert "not converged" in result.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    images = read(tmp_path / "out" / "path.traj", ":")
    assert len(images) == 4
    energies = [image.get_potential_energy() for image in images]
    assert f"{max(energies) - energies[0]:.3f}" in result.stdout
    assert "the closest are" in result.stdout
    plot = tmp_path / "out" / "path.png"
    before = plot.stat().st_mtime_ns
    again = run(ENOL, "--resume")
    assert f"{max(energies) - energies[0]:.3f}" in again.stdout
    assert plot.stat().st_mtime_ns == before


def test_a_file_of_reactions(run: Run, tmp_path: Path) -> None:
    lines = tmp_path / "reactions.txt"
    lines.write_text(f"{ENOL} to enol\n[CH4:1]>>[NH3:1] wrong\n{ENOL}\n")
    result = run(lines, "--until", "ends")
    assert result.exit_code == 1
    assert "wrong: atom 1 is C before and N after" in result.stderr
    assert "barrier" not in result.stdout
    folders = {path.name for path in (tmp_path / "out").iterdir()}
    assert folders == {"to_enol", "reaction"}
    assert (tmp_path / "out" / "to_enol" / "ends.traj").is_file()
    assert not (tmp_path / "out" / "reaction" / "path.traj").exists()


def test_two_files_of_structures(run: Run, tmp_path: Path) -> None:
    last = molecule("CH3OH")
    last.rattle(0.1, seed=0)
    write(tmp_path / "r.xyz", [molecule("CH3OH"), last])
    write(tmp_path / "p.xyz", last)
    result = run(tmp_path / "r.xyz", tmp_path / "p.xyz")
    assert result.exit_code == 1
    assert "the ends are one structure" in result.stdout
    assert "2 reactants, 1 products; the closest are 0.00 Å apart" in result.stdout


def test_inputs_that_are_no_reactions(run: Run, tmp_path: Path) -> None:
    for inputs in (["CCO"], [tmp_path / "no.xyz", tmp_path / "no.xyz"]):
        result = run(*inputs)
        assert isinstance(result.exception, StructureError)
        assert "no such file" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_bad_rows_of_a_table_are_named(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("name,reaction_smiles\none,[CH4:1]>>[CH4:1]\ntwo,C>>C,3\n")
    reactions, unread = read_reactions([str(table)], None)
    assert reactions == {"one": "[CH4:1]>>[CH4:1]"}
    assert list(unread) == [f"{table}, line 3"]
    table.write_text("name,reaction_smiles\ntwo,C>>C,3\n")
    with pytest.raises(DataError, match="3 cells under 2"):
        read_reactions([str(table)], None)
