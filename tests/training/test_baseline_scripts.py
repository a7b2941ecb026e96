"""Scripts that make and measure potentials on a baseline; EMT stands in for one."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.optimize import BFGS
from ase.vibrations import Vibrations
from scipy.spatial.distance import pdist

from ase_physml.calculators.names import make_calculator
from ase_physml.chem.bonds import bonded_pairs
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.index_split import Split
from ase_physml.data.label import label, plan
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write
from ase_physml.store.checkpoint import load_potentials, save_model

FOLDER = Path(__file__).parents[2] / "training"
SET = FOLDER / "quickstart_equilibrium.h5"
SPLIT = FOLDER / "quickstart_equilibrium_split.json"
NOBODY = np.array([], dtype=np.int64)


def relaxed(name: str) -> Atoms:
    atoms: Atoms = molecule(name)
    atoms.calc = EMT()
    BFGS(atoms, logfile=None).run(fmax=1e-4, steps=200)
    return atoms


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Two reactions as they are published: zero-point energy is in the barrier."""
    frames = []
    for k, name in enumerate(("N2", "H2O")):
        for role, stretch in (("r", 1.0), ("ts", 1.1), ("p", 1.2)):
            atoms = relaxed(name)
            atoms.positions *= stretch
            energy = 1.5 + k if role == "ts" else None
            smiles = "[N:1]#[N:2]>>[N:1]#[N:2]" if k == 0 else "[OH2:1]>>[OH2:1]"
            frames.append(
                Frame(
                    atoms.numbers,
                    atoms.positions,
                    energy,
                    name=f"rxn{k}/{role}",
                    smiles=smiles,
                )
            )
    path = tmp_path / "published.h5"
    write(path, frames, Metadata("CCSD(T)"))
    return path


def test_barriers_lose_their_zero_point_energy(
    script: Callable[..., str], published: Path, tmp_path: Path
) -> None:
    table, out = tmp_path / "zero_point.csv", tmp_path / "stationary.h5"
    common = (published, "--calculator", "emt", "--out", table)
    script("delta/zero_point.py", *common, "--every", 2)
    assert len(table.read_text().splitlines()) == 3
    script("delta/zero_point.py", *common)
    with table.open() as file:
        rows = {
            row["name"]: float(row["zero_point_eV"]) for row in csv.DictReader(file)
        }
    # What was there is gone on with, not done again.
    assert list(rows) == ["rxn0/r", "rxn0/ts", "rxn1/r", "rxn1/ts"]
    vibrations = Vibrations(relaxed("N2"), name=str(tmp_path / "vib"))
    vibrations.run()
    expected = vibrations.get_energies()[-1].real / 2
    assert rows["rxn0/r"] == pytest.approx(expected, rel=1e-3)
    options = ("--zero-point", table, "--calculator", "emt", "--out", out)
    script("delta/make_barriers.py", published, *options)
    data = RaggedSet(out)
    assert data.metadata.equilibrium and data.metadata.relative
    assert data.metadata.extra == {"minima": False}
    frames = list(data)
    barrier = 2.5 - (rows["rxn1/ts"] - rows["rxn1/r"])
    assert frames[4].energy == pytest.approx(barrier)
    assert [f.energy for f in frames[3::2]] == [0.0, None]
    assert [f.smiles for f in frames[::3]] == ["N#N", "O"]
    few = tmp_path / "few.csv"
    few.write_text("".join(table.read_text().splitlines(keepends=True)[:3]))
    options = ("--zero-point", few, "--calculator", "emt", "--out", out)
    script("delta/make_barriers.py", published, *options)
    assert [f.energy for f in RaggedSet(out)][3:] == [None] * 3


def test_few_conformers_of_each_molecule_are_kept(
    script: Callable[..., str], tmp_path: Path
) -> None:
    given, out = tmp_path / "all.h5", tmp_path / "some.h5"
    water = molecule("H2O")
    kinds = ["a"] * 5 + ["b"] + ["a"] * 3 + ["c"] * 2
    write(
        given,
        [Frame(water.numbers, water.positions, float(k), smiles=kind)
         for k, kind in enumerate(kinds)],
        Metadata("DFT", equilibrium=True),
    )  # fmt: skip
    script("delta/make_organic.py", given, "--most", 2, "--out", out)
    data = RaggedSet(out)
    assert data.metadata == Metadata("DFT", equilibrium=True)
    found = [(f.smiles or "", f.energy) for f in data]
    assert sorted(kind for kind, _ in found) == ["a", "a", "b", "c", "c"]
    assert len(set(found)) == 5
    assert all(kinds[int(energy or 0)] == kind for kind, energy in found)


def test_frames_for_pupils(
    script: Callable[..., str], published: Path, tmp_path: Path
) -> None:
    split, outs = tmp_path / "split.json", [tmp_path / "1.h5", tmp_path / "2.h5"]
    Split(NOBODY, np.arange(6), NOBODY).save(split)
    paths = ("--reactions", published, "--reactions-split", split)
    common = (SET, "--split", SPLIT, *paths, "--count", 60, "--part", "val")
    for out in outs:
        script(
            "delta/make_frames.py", *common, "--out", out,
        )  # fmt: skip
    one, other = (list(RaggedSet(out)) for out in outs)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.positions, b.positions)
    allowed = set(Split.load(SPLIT).val.tolist())
    minima = RaggedSet(SET)
    kinds = set()
    for frame in one:
        kind, _, index = (frame.name or "").partition("/")
        kinds.add(kind)
        assert int(index) in allowed
        if kind == "reaction":
            assert len(frame.numbers) in (2, 3)
            continue
        start = minima[int(index)]
        if kind == "dimer":
            assert len(frame.numbers) > len(start.numbers)
            continue
        np.testing.assert_array_equal(frame.numbers, start.numbers)
        atoms = Atoms(frame.numbers, frame.positions)
        before = bonded_pairs(Atoms(start.numbers, start.positions))
        if kind == "rotated":
            # Bonds turn, none breaks; new contacts may count as bonds.
            assert len(before - bonded_pairs(atoms)) == 0
        if kind == "pressed":
            size = pdist(frame.positions).mean() / pdist(start.positions).mean()
            assert 0.7 < size < 1.06
    assert kinds == {"thermal", "pulled", "rotated", "pressed", "dimer", "reaction"}
    few = tmp_path / "small.h5"
    chosen = ("--kinds", "thermal", "pressed", "--heavy", 3)
    script("delta/make_frames.py", *common[:3], "--count", 9, *chosen, "--out", few)
    assert all((frame.numbers > 1).sum() <= 3 for frame in RaggedSet(few))


def test_where_a_committee_disagrees_its_baseline_pushes_atoms_apart(
    script: Callable[..., str], tmp_path: Path
) -> None:
    teacher, baseline = tmp_path / "teacher.h5", tmp_path / "baseline.h5"
    frames = [
        Frame(
            np.array([1, 1]), np.eye(2, 3), 1.0, np.full((2, 3), force), spread=spread
        )
        for force, spread in ((1.0, 0.2), (900.0, 5.0), (2.0, 5.0))
    ]
    by_baseline = [replace(f, forces=np.full((2, 3), k)) for k, f in enumerate(frames)]
    strong = replace(by_baseline[2], forces=np.full((2, 3), 60.0))
    metadata = Metadata(equilibrium=False)
    write(teacher, frames, metadata)
    write(baseline, [*by_baseline[:2], strong], metadata)
    out = tmp_path / "walls.h5"
    script("delta/walls.py", teacher, baseline, "--out", out)
    agreed, replaced = RaggedSet(out)
    assert agreed.energy == 1.0
    np.testing.assert_array_equal(agreed.forces, frames[0].forces)
    assert replaced.energy is None
    np.testing.assert_array_equal(replaced.forces, by_baseline[1].forces)


def test_differences_are_those_of_labels_and_correction(
    script: Callable[..., str], tiny_potential: Path, tmp_path: Path
) -> None:
    """A correction that is 0.5 eV off in one frame of two, and right in forces."""
    members, card = load_potentials(tiny_potential)
    path = tmp_path / "corrected.pt"
    save_model(path, members, replace(card, baseline="emt"))
    calculator, emt = make_calculator(str(path)), EMT()
    frames = []
    for k in range(6):
        atoms = molecule("CH3OH")
        atoms.rattle(0.03, seed=k)
        forces = calculator.get_forces(atoms)
        energy = calculator.get_potential_energy(atoms) + 0.5 * (k % 2)
        smiles = ["A", "A", "B", "B", "B", "C"][k]
        numbers, positions = atoms.numbers, atoms.positions
        frames.append(Frame(numbers, positions, energy, forces, smiles=smiles))
    left, split, out = (tmp_path / name for name in ("l.h5", "s.json", "o.json"))
    metadata, combine = plan(Metadata("DFT"), "set", "emt", subtract=True)
    label(frames, left, make_calculator, "emt", metadata, combine=combine)
    Split(NOBODY, NOBODY, np.arange(6)).save(split)
    common = ("--data", left, "--split", split, "--compare", "smiles", "--out", out)
    script("delta/evaluate_differences.py", path, *common, "--relax", 1)
    found = json.loads(out.read_text())
    # A: one pair, off; B: two of three pairs.
    assert found["groups"] == 2
    assert found["mae_difference_meV"] == pytest.approx(1000 * (0.5 + 1 / 3) / 2, 1e-3)
    assert found["mae_force_eV_per_A"] < 1e-4
    own = [np.abs(f.forces - emt.get_forces(Atoms(f.numbers, f.positions)))
           for f in frames if f.forces is not None]  # fmt: skip
    assert found["baseline"]["mae_force_eV_per_A"] == pytest.approx(
        np.mean(own), rel=1e-3
    )
    assert set(found["relaxed"]) == {str(path), "emt"}


def test_force_errors_molecule_by_molecule(
    script: Callable[..., str], tiny_potential: Path, tmp_path: Path
) -> None:
    """Labels of EMT, all energies 3 eV higher, and one molecule's forces off."""
    frames = []
    for name, off in (("CH3OH", 0.0), ("CH4", 0.5)):
        for seed in range(3):
            atoms = molecule(name)
            atoms.rattle(0.05, seed=seed)
            atoms.calc = EMT()
            energy = atoms.get_potential_energy() + 3.0
            forces = atoms.get_forces() + off
            frames.append(Frame(atoms.numbers, atoms.positions, energy, forces))
    path, out = tmp_path / "set.h5", tmp_path / "out.json"
    write(path, [*frames, frames[0]], Metadata("EMT"))
    common = ("--data", path, "--frames", 2, "--out", out)
    script("delta/evaluate_forces.py", "emt", tiny_potential, *common)
    found = json.loads(out.read_text())
    alcohol, methane = found["emt"].values()
    assert alcohol["mae_force_eV_per_A"] < 1e-5
    assert alcohol["mae_relative_energy_meV"] < 1e-2
    assert methane["mae_force_eV_per_A"] == pytest.approx(0.5, abs=1e-5)
    assert found[str(tiny_potential)].keys() == found["emt"].keys()


def test_learning_curves_are_joined(script: Callable[..., str], tmp_path: Path) -> None:
    for run, rows in (("a", "4,0.4\n9,0.2\n"), ("b", "4,0.1\n")):
        folder = tmp_path / run / "csv" / "version_0"
        folder.mkdir(parents=True)
        (folder / "metrics.csv").write_text(f"step,val/mae_forces\n{rows}")
    out, png = tmp_path / "out.json", tmp_path / "out.png"
    runs = (tmp_path / "a", tmp_path / "b")
    options = ("--batch-size", 8, "--out", out, "--plot", png)
    script("learning_curve.py", *runs, *options)
    expected = {"mae_forces": [[40, 0.4], [80, 0.2], [120, 0.1]]}
    assert json.loads(out.read_text()) == expected
    assert png.stat().st_size > 1000
