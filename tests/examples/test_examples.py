"""The examples run, with a small potential."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ase_physml.models.physchem.config import PhysChemConfig
from ase_physml.models.physchem.model import PhysChem
from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import save_model

FOLDER = Path(__file__).parents[2] / "examples"
OPTIONS: dict[str, list[str]] = {
    "relax_and_compare.py": ["--molecule", "H2O"],
    "pair_parameters.py": ["H2O"],
    "reaction_path.py": ["--images", "4", "--steps", "2"],
    "active_learning.py": ["C", "--steps", "100"],
    "conformers.py": ["CC(=O)N", "-n", "3", "--steps", "2"],
    "fingerprints.py": [],
    "adsorption_sites.py": ["--steps", "1"],
    "relax_on_cluster.py": ["few.smi", "--workers", "1"],
    "own_property.py": ["boiling_points.csv", "boiling", "--steps", "50"],
    "vibrations.py": ["H2O"],
    "trust.py": ["--points", "3"],
    "screen.py": [],
    "train_potential.py": ["--steps", "100", "--frames", "3"],
}
NEED_TBLITE = (
    "relax_and_compare.py",
    "active_learning.py",
    "vibrations.py",
    "trust.py",
)
# These draw nothing themselves.
NO_PICTURE = ("pair_parameters.py", "relax_on_cluster.py")


@pytest.fixture(scope="module")
def tiny_properties(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PhysChem model of one property, with random weights."""
    torch.manual_seed(0)
    config = PhysChemConfig(atom_width=8, bond_width=8, molecule_width=8, targets=1)
    path = tmp_path_factory.mktemp("properties") / "tiny.pt"
    card = ModelCard(
        name="tiny",
        kind="physchem",
        architecture=config.to_dict(),
        target_names=["logS"],
        unit="mol/L",
    )
    save_model(path, PhysChem(config), card)
    return path


def test_every_example_is_run() -> None:
    assert {path.name for path in FOLDER.glob("*.py")} == set(OPTIONS)


@pytest.mark.parametrize("name", OPTIONS)
def test_example(
    name: str,
    tiny_potential: Path,
    tiny_committee: Path,
    tiny_conformations: Path,
    tiny_properties: Path,
    tmp_path: Path,
) -> None:
    if name in NEED_TBLITE:
        pytest.importorskip("tblite")
    if name == "relax_on_cluster.py":
        pytest.importorskip("distributed")
        (tmp_path / "few.smi").write_text("O water\nC\nnonsense bad\nCO the alcohol\n")
    other = {
        "active_learning.py": tiny_committee,
        "fingerprints.py": tiny_properties,
        "adsorption_sites.py": "adsorption.pt",
        "trust.py": tiny_committee,
        "screen.py": tiny_properties,
    }
    options = [*OPTIONS[name], "--model", other.get(name, tiny_potential)]
    if name == "own_property.py":
        options = [FOLDER / OPTIONS[name][0], *OPTIONS[name][1:]]
    if name == "train_potential.py":
        options = OPTIONS[name]
    if name == "screen.py":
        (tmp_path / "few.csv").write_text("smiles,name\nCO,a\nCCO,b\nCCC,c\n")
        options = ["few.csv", *options, "--other", tiny_properties]
    if name == "conformers.py":
        options += ["--distances", tiny_conformations]
    done = subprocess.run(
        [sys.executable, FOLDER / name, *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 3
    if name not in NO_PICTURE:
        picture = (tmp_path / name).with_suffix(".png").read_bytes()
        assert picture.startswith(b"\x89PNG") and len(picture) > 5_000
    if name == "relax_on_cluster.py":
        assert "3 of 4 written" in done.stdout and "bad: failed" in done.stdout
    if name == "active_learning.py":
        for member in ("member0", "member1"):
            made = tmp_path / "runs" / member / f"{member}.pt"
            assert made.is_file(), done.stdout
    if name == "own_property.py":
        header = (tmp_path / "predicted.csv").read_text().splitlines()[0]
        assert header.endswith(",predicted_boiling,predicted_boiling_std")


@pytest.mark.slow
def test_active_learning_as_it_says_itself(tmp_path: Path) -> None:
    pytest.importorskip("tblite")
    source = (FOLDER / "active_learning.py").read_text("utf-8")
    (line,) = (one for one in source.splitlines() if "python examples/" in one)
    _, _, *arguments = shlex.split(line)
    for _ in range(2):  # the second time over the files of the first
        done = subprocess.run(
            [
                sys.executable,
                FOLDER / "active_learning.py",
                *arguments,
                "--steps",
                "100",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "runs" / "member1" / "member1.pt").is_file(), done.stdout
        shutil.rmtree(tmp_path / "runs")


@pytest.mark.parametrize(
    "path", sorted(FOLDER.glob("*.sh")), ids=lambda path: path.name
)
def test_scripts_parse(path: Path) -> None:
    done = subprocess.run(["bash", "-n", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_slurm_needs_jobqueue(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    (tmp_path / "few.smi").write_text("O\n")
    # Stands for a dask-jobqueue that is not there, whether it is or not.
    (tmp_path / "dask_jobqueue.py").write_text("raise ImportError")
    done = subprocess.run(
        [sys.executable, FOLDER / "relax_on_cluster.py", "few.smi", "--slurm", "short"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert (
        done.stderr.strip() == "--slurm needs dask-jobqueue: pip install dask-jobqueue"
    )
