"""An importer of another package: an entry point is all it takes."""

import warnings
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from ase_physml.cli import app
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.importers import BUILT_IN, GROUP, opening
from ase_physml.data.importers.importer import Importer, Notes, Options
from ase_physml.data.importers.opening import detect, importers, open_source
from ase_physml.data.importers.units import energy_factor
from ase_physml.data.metadata import Metadata
from ase_physml.errors import DataError


class Toy(Importer):
    """Lines of an element, an energy and a position."""

    name = "toy"
    options = frozenset({"energy_unit"})

    def recognises(self, path: Path) -> bool:
        return path.suffix == ".toy"

    def metadata(self, path: Path, options: Options) -> Metadata:
        return Metadata("toy theory", source=path.name)

    def read(self, path: Path, options: Options, notes: Notes) -> Iterator[Frame]:
        factor = energy_factor(options.energy_unit or "eV")
        for line in path.read_text().splitlines():
            number, energy, *position = map(float, line.split())
            if number == 0:
                notes.left_out["of no element"] += 1
                continue
            numbers, positions = np.array([int(number)]), np.array([position])
            yield Frame(numbers, positions, energy=energy * factor)


class Blind(Toy):
    """Stumbles at the look of a file."""

    def recognises(self, path: Path) -> bool:
        raise ValueError("what is this")


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    yield monkeypatch
    importers.cache_clear()


def plug_in(patch: pytest.MonkeyPatch, **places: str) -> None:
    points = [EntryPoint(name, place, GROUP) for name, place in places.items()]
    patch.setattr(opening, "entry_points", lambda group: points * (group == GROUP))
    importers.cache_clear()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "atoms.toy"
    path.write_text("1 -0.5 0 0 0\n0 0 0 0 0\n8 -75 0 0 1\n")
    return path


def test_an_entry_point_is_all_it_takes(
    install: pytest.MonkeyPatch, file: Path, tmp_path: Path
) -> None:
    plug_in(install, toy="test_own_importer:Toy")
    out = tmp_path / "out.h5"
    units = ["--energy-unit", "Hartree"]
    for kind in ([], ["--format", "toy"]):
        arguments = ["data", "import", str(file), str(out), *kind, *units]
        result = CliRunner().invoke(app, [*arguments, "--overwrite"])
        assert result.exit_code == 0, result.output
        assert "of no element" in result.output
        found = RaggedSet(out)
        assert found.metadata.level_of_theory == "toy theory"
        assert [f.energy for f in found] == pytest.approx([-13.6057, -2040.85], 1e-5)
    with pytest.raises(DataError, match="'toy' has no option --part"):
        open_source(file, options=Options(part="train"))


def test_a_script_needs_no_entry_point(file: Path) -> None:
    assert [f.energy for f in open_source(file, Toy())] == [-0.5, -75.0]
    with pytest.raises(DataError, match="neither ASE nor this package knows"):
        list(open_source(file))


def test_files_of_this_package_are_not_taken(
    install: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plug_in(install, toy="test_own_importer:Toy")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["003/coordinates"] = np.zeros((1, 3, 3))
        file["003/species"] = np.ones((1, 3), dtype=int)
    assert detect(tmp_path / "a.h5") == "ani2x"


@pytest.mark.parametrize(
    ("name", "place", "said"),
    [
        ("bad", "no_such_module:Toy", "cannot be loaded .ModuleNotFoundError"),
        ("bad", "pathlib:Path", "is no ase_physml.data.importers.importer.Importer"),
        ("qm9", "test_own_importer:Toy", "call it otherwise"),
    ],
)
def test_what_cannot_be_loaded_keeps_nothing_else_out(
    install: pytest.MonkeyPatch, name: str, place: str, said: str
) -> None:
    plug_in(install, **{name: place})
    with pytest.warns(UserWarning, match=said):
        assert list(importers()) == list(BUILT_IN)


def test_one_that_stumbles_is_named(install: pytest.MonkeyPatch, file: Path) -> None:
    plug_in(install, blind="test_own_importer:Blind")
    with pytest.raises(DataError, match=r"'blind' cannot look .*say which --format"):
        detect(file)


def test_importers_are_called_as_they_are_listed() -> None:
    importers.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = importers()
    assert {name: one.name for name, one in found.items()} == {n: n for n in found}
