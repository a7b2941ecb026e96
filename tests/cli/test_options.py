"""One command line: an option has one name and one meaning in all verbs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ase.io
import pytest
import typer
from ase.build import molecule
from rdkit import Chem
from typer.testing import CliRunner

from ase_physml.cli import app
from ase_physml.data.dataset import RaggedSet
from ase_physml.errors import StructureError

# What an option of one name says differs with the verb, for the reason beside it.
OWN = {
    "--out": "a folder, or a file of some kinds",
    "--resume": "training goes on from a checkpoint that may be named",
    "-n": "conformers of a molecule, or of a side",
    "--relax": "of conformers, with what",
    "--data": "of energies, properties or molecules",
    "--split": "a file, or a kind",
    "--part": "of a split, or of a published set",
}


def leaves(command: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, inner in getattr(command, "commands", {}).items():
        yield from leaves(inner, (*names, name))
    if not hasattr(command, "commands"):
        yield " ".join(names), command


VERBS = dict(leaves(typer.main.get_command(app)))


def options(command: Any, hidden: bool = False) -> Iterator[Any]:
    for parameter in command.params:
        if parameter.param_type_name == "option" and parameter.hidden == hidden:
            yield parameter


def test_an_option_says_the_same_in_all_verbs() -> None:
    said: dict[str, set[str]] = {}
    for verb in VERBS.values():
        for option in options(verb):
            said.setdefault(option.opts[0], set()).add(option.help)
    assert {name for name in said if len(said[name]) > 1} == OWN.keys()


def test_every_option_and_argument_says_what_it_is() -> None:
    for name, verb in VERBS.items():
        for parameter in verb.params:
            hidden = getattr(parameter, "hidden", False)
            assert hidden or parameter.help, f"{name}: {parameter.name}"


@pytest.mark.parametrize("name", VERBS)
def test_what_writes_is_safe_and_short(name: str) -> None:
    names = {opt for option in options(VERBS[name]) for opt in option.opts}
    if "--out" in names:
        assert "-o" in names
        assert "--overwrite" in names or name == "train"
    if "--scheduler" in names or "--jobs" in names:
        assert "--resume" in names


def test_former_names_work_out_of_sight(tmp_path: Path) -> None:
    former = {
        (name, option.opts[0])
        for name, verb in VERBS.items()
        for option in options(verb, hidden=True)
    }
    assert former == {
        ("conformers", "--model"),
        ("data label", "--calculator"),
        ("data label", "--processes"),
    }
    water = tmp_path / "water.xyz"
    water.write_text("3\n\nO 0 0 0\nH 0 0 0.97\nH 0 0.94 -0.24\n")
    for k, line in enumerate(
        (["--model", "emt"], ["--calculator", "emt", "--processes", "1"])
    ):
        out = tmp_path / f"{k}.h5"
        done = CliRunner().invoke(app, ["data", "label", str(water), str(out), *line])
        assert done.exit_code == 0, done.output
    assert RaggedSet(tmp_path / "0.h5")[0].energy == RaggedSet(out)[0].energy


def test_json_of_a_relaxation(tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = ["relax", "O", "[CH3]", "--model", "emt", "--steps", "2", "--out", str(out)]
    done = CliRunner().invoke(app, [*line, "--json"])
    assert done.exit_code == 1
    water, radical = json.loads(done.stdout)
    assert water["formula"] == "H2O" and water["steps"] <= 2
    assert Path(water["file"]).is_file()
    assert "a radical" in radical["error"] and "energy_eV" not in radical


def test_relaxations_in_one_file_as_conformers_are(tmp_path: Path) -> None:
    line = ["relax", "O", "CO", "--model", "emt", "--steps", "2", "--overwrite"]
    line += ["--out", str(tmp_path / "out"), "--collect"]
    sdf, xyz = tmp_path / "all.sdf", tmp_path / "all.xyz"
    for path in (sdf, xyz):
        done = CliRunner().invoke(app, [*line, str(path)])
        assert done.exit_code == 0, done.output
    molecules = list(Chem.SDMolSupplier(str(sdf), removeHs=False))
    assert [one.GetProp("_Name") for one in molecules] == ["O", "CO"]
    for one, atoms in zip(molecules, ase.io.read(xyz, ":"), strict=True):
        assert [atom.GetSymbol() for atom in one.GetAtoms()] == list(atoms.symbols)
        written = one.GetConformer().GetPositions()
        assert abs(written - atoms.positions).max() < 1e-3
        energy = float(one.GetProp("energy_eV"))
        assert energy == pytest.approx(atoms.get_potential_energy(), abs=1e-5)
    # Without SMILES nothing says the bonds; in another order they say others.
    turned = ase.io.read(xyz, 1)[::-1]
    turned.info["smiles"] = "CO"
    for start in (molecule("H2O"), turned):
        start.write(tmp_path / "start.xyz")
        start = str(tmp_path / "start.xyz")
        refused = CliRunner().invoke(app, ["relax", start, *line[3:], str(sdf)])
        assert isinstance(refused.exception, StructureError)
        assert "no SMILES that say its bonds" in str(refused.exception)


def test_completion_is_on() -> None:
    done = CliRunner().invoke(app, ["--help"])
    assert "--install-completion" in done.output
