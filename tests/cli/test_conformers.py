"""`physml conformers`, end to end with small random models."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ase.io
import pytest
from ase.io import read
from rdkit import Chem
from typer.testing import CliRunner, Result

from ase_physml.cli import app
from ase_physml.data.dataset import RaggedSet
from ase_physml.errors import DataError
from ase_physml.models.physchem.config import PhysChemConfig
from ase_physml.models.physchem.model import PhysChem
from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import save_model
from ase_physml.workflows.conformers import runs

Run = Callable[..., Result]
LINES = ["C[C@H](O)C#N lactonitrile", "not-one bad", "", "C/C=C\\C", "OCCO glycol"]


@pytest.fixture
def run(tiny_conformations: Path) -> Run:
    def call(*arguments: str | Path) -> Result:
        options = ["--model", str(tiny_conformations)]
        return CliRunner().invoke(app, ["conformers", *map(str, arguments), *options])

    return call


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "molecules.smi"
    path.write_text("\n".join(LINES))
    return path


def test_a_file_with_a_bad_line(run: Run, lines: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.sdf"
    result = run(lines, "-n", "3", "-o", out)
    assert result.exit_code == 1, result.output
    assert "molecules.smi, line 2: 'not-one' is not a valid SMILES" in result.stderr
    with Path(f"{out}.failures.csv").open() as file:
        (failure,) = csv.DictReader(file)
    assert failure["name"] == "bad"
    assert failure["frame"] == "1"
    molecules = list(Chem.SDMolSupplier(str(out), removeHs=False))
    names = list(dict.fromkeys(one.GetProp("_Name") for one in molecules))
    assert names == ["lactonitrile", "C/C=C\\C", "glycol"]
    for one in molecules:
        # The block has a wedge and E/Z only by its coordinates.
        Chem.AssignStereochemistryFrom3D(one)
        found = Chem.MolToSmiles(Chem.RemoveHs(one))
        assert found == Chem.CanonSmiles(one.GetProp("smiles"))
        assert float(one.GetProp("distance_error_A")) >= 0
    assert f"{len(molecules)} conformers of 3 molecules" in result.stdout
    assert not Path(f"{out}.partial").exists()


def test_relaxed_xyz_and_h5(run: Run, tiny_potential: Path, tmp_path: Path) -> None:
    relax = ("--relax", tiny_potential, "--steps", "2", "-n", "3")
    result = run("OCCO", "C/N=C\\C", "-o", tmp_path / "a.xyz", *relax)
    assert result.exit_code == 0, result.output
    assert run("OCCO", "C/N=C\\C", "-o", tmp_path / "a.h5", *relax).exit_code == 0
    frames = read(tmp_path / "a.xyz", ":")
    assert {atoms.info["smiles"] for atoms in frames} == {"OCCO", "C/N=C\\C"}
    weights = [atoms.info["boltzmann_weight"] for atoms in frames]
    assert sum(weights) == pytest.approx(2.0)
    stored = RaggedSet(tmp_path / "a.h5")
    assert len(stored) == len(frames)
    for index, atoms in enumerate(frames):
        frame = stored[index]
        assert frame.energy == pytest.approx(atoms.get_potential_energy())
        assert frame.smiles == frame.name == atoms.info["smiles"]
        assert atoms.get_forces().shape == (len(atoms), 3)
    assert f"{frames[0].get_potential_energy():.4f}" in result.stdout


def test_a_killed_run_is_resumed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    molecules = ("OCCO", "CCN", "C(", "C[C@H](O)C#N", "CCCO")
    whole, out = tmp_path / "whole.sdf", tmp_path / "out.sdf"
    arguments = (*molecules, "-n", "2", "-o")
    assert run(*arguments, whole).exit_code == 1
    original = runs.conformers_of
    asked: list[str] = []

    def dies(smiles: Sequence[str], *rest: Any) -> Any:
        asked.extend(smiles)
        if "C[C@H](O)C#N" in smiles:
            raise KeyboardInterrupt
        return original(smiles, *rest)

    with monkeypatch.context() as kept:
        kept.setattr(runs, "conformers_of", dies)
        assert run(*arguments, out).exit_code == 130
    assert not out.exists()
    other = run(*arguments, out, "--resume", "--seed", "1")
    assert isinstance(other.exception, DataError)
    assert "settings.seed was 0, is 1" in str(other.exception)
    asked.clear()

    def counts(smiles: Sequence[str], *rest: Any) -> Any:
        asked.extend(smiles)
        return original(smiles, *rest)

    monkeypatch.setattr(runs, "conformers_of", counts)
    # Of the same work, it need not be asked for.
    assert run(*arguments, out).exit_code == 1
    assert asked == ["C[C@H](O)C#N", "CCCO"]
    assert out.read_text() == whole.read_text()
    failures = Path(f"{out}.failures.csv").read_text()
    assert failures == Path(f"{whole}.failures.csv").read_text()


def test_two_processes_write_the_same(run: Run, lines: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.sdf", tmp_path / "two.sdf"
    assert run(lines, "-n", "2", "-o", one).exit_code == 1
    assert run(lines, "-n", "2", "-o", two, "--jobs", "2").exit_code == 1
    assert two.read_text() == one.read_text()


def test_nothing_is_overwritten(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "a.sdf"
    out.write_text("precious")
    refused = run("C", "-o", out)
    assert isinstance(refused.exception, DataError)
    assert out.read_text() == "precious"
    assert run("C", "-o", out, "--overwrite").exit_code == 0
    assert "precious" not in out.read_text()


def test_all_failed_writes_nothing(run: Run, tmp_path: Path) -> None:
    assert run("C(", "-o", tmp_path / "a.sdf").exit_code == 1
    assert not (tmp_path / "a.sdf").exists()


def test_an_unknown_kind_of_file(run: Run, tmp_path: Path) -> None:
    refused = run("C", "-o", tmp_path / "a.mol2")
    assert isinstance(refused.exception, DataError)
    assert ".sdf, .xyz, .h5" in str(refused.exception)
    assert not list(tmp_path.iterdir())


def test_a_model_that_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    arguments = ["conformers", "C", "-o", str(tmp_path / "a.sdf"), "--model", "no.pt"]
    result = CliRunner().invoke(app, arguments)
    assert "no.pt" in str(result.exception)
    assert not list(tmp_path.iterdir())


def test_a_table(run: Run, tmp_path: Path) -> None:
    table = tmp_path / "known.csv"
    table.write_text("logS,smiles\n1.0,OCCO\n2.0,CCO\n")
    result = run(table, "-n", "1", "-o", tmp_path / "all.sdf")
    assert result.exit_code == 0, result.output
    molecules = Chem.SDMolSupplier(str(tmp_path / "all.sdf"))
    assert [one.GetProp("_Name") for one in molecules] == ["OCCO", "CCO"]


def test_limits_can_be_raised(run: Run, tmp_path: Path) -> None:
    arguments = ("CCCC", "CC", "-n", "1", "-o", tmp_path / "a.sdf")
    refused = run(*arguments, "--max-atoms", "3")
    assert refused.exit_code == 1
    assert "CCCC: 4 atoms besides hydrogen" in refused.stderr
    assert run(*arguments, "--max-atoms", "4", "--overwrite").exit_code == 0


def test_elements_that_the_model_does_not_know_are_said_once(tmp_path: Path) -> None:
    config = PhysChemConfig(variant="physnet", forces="springs", atom_width=8)
    card = ModelCard(
        name="cno",
        kind="physchem",
        architecture=config.to_dict(),
        elements=["C", "N", "O"],
    )
    save_model(tmp_path / "cno.pt", PhysChem(config), card)
    arguments = ["conformers", "CCO", "CCS", "CSC", "-n", "2"]
    paths = ["-o", str(tmp_path / "a.sdf"), "--model", str(tmp_path / "cno.pt")]
    result = CliRunner().invoke(app, [*arguments, *paths])
    assert result.exit_code == 0, result.output
    assert "2 of 3 molecules: cno.pt was not trained on S" in result.stdout
    assert result.stdout.count("not trained") == 1


def test_masses_of_isotopes_are_written(run: Run, tmp_path: Path) -> None:
    smiles = "[2H]C([2H])([2H])O"
    assert run(smiles, "-n", "1", "-o", tmp_path / "a.xyz").exit_code == 0
    assert run(smiles, "-n", "1", "-o", tmp_path / "a.sdf").exit_code == 0
    masses = read(tmp_path / "a.xyz").get_masses()
    assert sorted(masses)[1:4] == pytest.approx([2.014] * 3, abs=1e-3)
    (molecule,) = Chem.SDMolSupplier(str(tmp_path / "a.sdf"), removeHs=False)
    assert sum(atom.GetIsotope() == 2 for atom in molecule.GetAtoms()) == 3


def test_names_and_bad_rows_of_a_table(run: Run, tmp_path: Path) -> None:
    table, out = tmp_path / "a.csv", tmp_path / "a.xyz"
    table.write_text("mol_id;mol\ntrans;C/C=C/C\ncis;C/C=C\\C\nlong;C;1;2;3\n")
    result = run(table, "-n", "1", "-o", out, "--smiles-column", "mol")
    assert result.exit_code == 1
    assert "a.csv, line 4: 5 cells under 2 column names" in result.stderr
    infos = [atoms.info for atoms in ase.io.read(out, ":")]
    assert [(i["name"], i["smiles"]) for i in infos] == [
        ("trans", "C/C=C/C"),
        ("cis", "C/C=C\\C"),
    ]


def test_a_file_of_structures_is_refused(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text("1\n\nHe 0.0 0.0 0.0\n")
    result = run(path, "-o", tmp_path / "b.sdf")
    assert "XYZ, not SMILES" in str(result.exception)
