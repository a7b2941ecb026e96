"""`physml list`: a line for each shipped potential and model."""

import json

from typer.testing import CliRunner

from ase_physml.cli import app
from ase_physml.cli.list import short
from ase_physml.store.registry import entries


def test_a_line_each() -> None:
    result = CliRunner().invoke(app, ["list"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    rows = {line.split()[0]: line for line in lines[1 : 1 + len(entries())]}
    assert rows.keys() == entries().keys()
    assert "H C N O" in rows["qm9.pt"]
    assert "B3LYP/6-31G(2df,p)" in rows["qm9.pt"]
    start = lines[0].index("not for")
    assert rows["qm9_equilibrium.pt"][start:].startswith("vibrations, ")
    assert "vibrations" not in rows["qm9_equilibrium.pt"][:start]


def test_many_elements_in_short() -> None:
    assert short(("H", "C")) == "H C"
    assert short(("H", "C", "O", "Pt", "Au", "Ag")) == "H C O +3"


def test_json_for_scripts() -> None:
    done = CliRunner().invoke(app, ["list", "--json"])
    assert done.exit_code == 0, done.output
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert found["qm9.pt"]["elements"] == ["H", "C", "N", "O"]
    assert "vibrations" in found["qm9_equilibrium.pt"]["not_for"]
