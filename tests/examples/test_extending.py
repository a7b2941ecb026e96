"""The page on adding your own: its code is run as it stands there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import write
from typer.testing import CliRunner

from ase_physml import relax_many
from ase_physml.calculators.provenance import identity_of
from ase_physml.cli import app
from ase_physml.data.dataset import RaggedSet

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


def blocks_of(heading: str) -> list[str]:
    """Python of one section of the page."""
    text = PAGE.read_text("utf-8")
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.S | re.M)
    return re.findall(r"^```python\n(.*?)^```", section, re.S | re.M)


@pytest.fixture
def springs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of the page, in the current folder."""
    (tmp_path / "springs.py").write_text(blocks_of("A calculator")[0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    import springs

    yield springs
    monkeypatch.delitem(__import__("sys").modules, "springs")


def test_forces_are_the_slope(springs: Any) -> None:
    atoms = molecule("CH3OH")
    atoms.calc = springs.Springs()
    for atom, axis in ((0, 0), (3, 2)):
        energies = []
        for shift in (1e-4, -1e-4):
            moved = atoms.copy()
            moved.calc = springs.Springs()
            moved.positions[atom, axis] += shift
            energies.append(moved.get_potential_energy())
        slope = (energies[0] - energies[1]) / 2e-4
        assert atoms.get_forces()[atom, axis] == pytest.approx(-slope, abs=1e-5)


def test_tasks_take_it_and_its_name(
    springs: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    found: dict[str, Any] = {}
    exec(blocks_of("A calculator")[1], found)
    assert found["done"].converged and "True" in capsys.readouterr().out
    assert all(one.converged for one in found["several"])
    # Many at once: one call for a step of all, with results of each.
    calls: list[int] = []

    class Counted(springs.Springs):
        def calculate_many(self, structures: list[Atoms]) -> list[dict[str, Any]]:
            calls.append(len(structures))
            return super().calculate_many(structures)

    starts = [molecule("CH4"), molecule("NH3")]
    many = relax_many(starts, Counted())
    assert calls[0] == 2
    for one, other in zip(many, found["several"], strict=True):
        np.testing.assert_allclose(one.atoms.positions, other.atoms.positions)


def test_parameters_tell_one_from_another(springs: Any) -> None:
    first, other = springs.Springs(), springs.Springs(stiffness=8.0)
    assert identity_of(first) == identity_of(springs.Springs(stiffness=5.0))
    assert identity_of(first) != identity_of(other)


def test_the_command_line_takes_its_name(springs: Any) -> None:
    write("structures.xyz", [molecule("H2O"), molecule("CH4")])
    line = ["data", "label", "structures.xyz", "labelled.h5"]
    done = CliRunner().invoke(app, [*line, "--calculator", "springs:Springs"])
    assert done.exit_code == 0, done.output
    data = RaggedSet(Path("labelled.h5"))
    assert len(data) == 2 and data.has("energy") and data.has("forces")
    atoms = molecule("CH4")
    atoms.calc = springs.Springs()
    assert data[1].energy == pytest.approx(atoms.get_potential_energy())
