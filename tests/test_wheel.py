"""The wheel: the package with the shipped potentials, and nothing beside it."""

import hashlib
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FILES = "ase_physml/store/files/"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    """Built by way of a source distribution, so that one is checked as well."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out)]
    done = subprocess.run([*command, str(ROOT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("*.whl")
    return ZipFile(path)


def test_only_the_package_is_at_top_level(wheel: ZipFile) -> None:
    top = {name.split("/")[0] for name in wheel.namelist()}
    package, metadata = sorted(top)
    assert package == "ase_physml"
    assert metadata.startswith("ase_physml-") and metadata.endswith(".dist-info")


def test_every_source_file_is_in(wheel: ZipFile) -> None:
    sources = {p.relative_to(ROOT).as_posix() for p in ROOT.glob("ase_physml/**/*.py")}
    names = set(wheel.namelist())
    assert sources <= names
    assert "ase_physml/py.typed" in names
    assert "ase_physml/evaluation/report.html.j2" in names
    assert "ase_physml/evaluation/reactions.html.j2" in names
    assert "ase_physml/evaluation/viewer/3Dmol-min.js" in names
    assert "ase_physml/evaluation/viewer/LICENSE.3Dmol.txt" in names


def test_potentials_are_in_and_are_those_of_the_registry(wheel: ZipFile) -> None:
    shipped = {n.removeprefix(FILES) for n in wheel.namelist() if n.startswith(FILES)}
    assert {Path(name).suffix for name in shipped} <= {".pt", ".md", ".yaml"}
    registry = yaml.safe_load(wheel.read(FILES + "registry.yaml"))["potentials"]
    assert registry.keys() == {name for name in shipped if name.endswith(".pt")}
    for name, entry in registry.items():
        content = wheel.read(FILES + name)
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]


def test_command_and_licence(wheel: ZipFile) -> None:
    (entry_points,) = (n for n in wheel.namelist() if n.endswith("entry_points.txt"))
    assert b"physml = ase_physml.cli:main" in wheel.read(entry_points)
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())
