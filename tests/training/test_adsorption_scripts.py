"""The scripts of adsorption and of OC20's relaxations, on sets made here with EMT."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.build import add_adsorbate, fcc111, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.optimize import BFGS

from ase_physml.data.conversion import from_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.index_split import Split
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write

METALS = ("Ag", "Au", "Cu", "Ni", "Pd", "Pt")


def relaxation(metal: str, adsorbate: str | None) -> list[Frame]:
    """Every step, without saying which atoms were held."""
    atoms = fcc111(metal, (2, 2, 2), vacuum=7.0, periodic=True)
    atoms.set_constraint(FixAtoms(np.flatnonzero(atoms.get_tags() == 2)))
    if adsorbate is not None:
        add_adsorbate(atoms, molecule(adsorbate), 1.8, "fcc", mol_index=-1)
    atoms.calc = EMT()
    steps = BFGS(atoms, logfile=None).irun(fmax=0.05, steps=100)
    return [replace(from_atoms(atoms), fixed=None) for _ in steps]


def gas(name: str) -> Frame:
    atoms = molecule(name, vacuum=8.0, pbc=True)
    atoms.calc = EMT()
    BFGS(atoms, logfile=None).run(fmax=0.02)
    atoms.get_forces()
    return from_atoms(atoms)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Named as GAME-Net's set."""
    frames = []
    for metal in METALS:
        name = metal.lower()
        slab = relaxation(metal, None)[-1]
        frames.append(replace(slab, name=f"metal_surfaces/{name}-0000"))
        # Atoms, which find their hollow again.
        for adsorbate in ("O", "N"):
            both = relaxation(metal, adsorbate)[-1]
            frames.append(replace(both, name=f"oxides/{name}-{adsorbate}-a"))
    frames += [replace(gas(name), name=f"gas_oxides/{name}") for name in ("O", "N")]
    path = tmp_path_factory.mktemp("published") / "fg.h5"
    # Minima: forces are not published.
    still = [replace(frame, forces=None) for frame in frames]
    write(path, still, Metadata("EMT", equilibrium=True))
    return path


def test_adsorption_is_made_and_measured(
    script: Callable[..., str], published: Path, tmp_path: Path
) -> None:
    out = tmp_path / "adsorption.h5"
    script(
        "adsorption/make_adsorption.py", published, "--out", out, "--splits", tmp_path
    )
    data = RaggedSet(out)
    names = [frame.name or "" for frame in data]
    for frame in data:
        apart = (frame.name or "").startswith(("metal", "gas"))
        assert (frame.energy == 0.0) is apart
        if frame.name is not None and not frame.name.startswith("gas"):
            assert frame.fixed is not None
            # And those of the upper layer that two atoms by symmetry do not move.
            assert frame.fixed[:4].all()
            assert not frame.fixed.all()
    for name in ("random", "metal", "adsorbate"):
        split = Split.load(tmp_path / f"adsorption_{name}.json")
        # Clean slabs are for training, whatever is tested.
        assert {names[i] for i in split.train} >= {n for n in names if "0000" in n}
        tested = [names[i] for i in split.test]
        assert tested
        if name == "metal":
            metals = {n.split("/")[1].split("-")[0] for n in tested}
            assert len(metals) == 3
            assert len(tested) == 6
        if name == "adsorbate":
            assert len({n.split("-")[1] for n in tested if "gas" not in n}) == 1
            assert sum("gas" in n for n in tested) == 1

    total, result = tmp_path / "total.h5", tmp_path / "result.json"
    script("adsorption/make_adsorption.py", published, "--out", total, "--total")
    split = tmp_path / "adsorption_metal.json"
    common = ("--split", split, "--structures", 2, "--out", result)
    script("adsorption/evaluate_adsorption.py", "emt", "--data", total, *common)
    found = json.loads(result.read_text())
    assert found["structures"] == 6
    # EMT made the set: nothing is left but the threshold of relaxations.
    assert found["at_the_structure_of_dft"]["mae_by_difference_eV"] < 1e-4
    assert found["displaced"]["displacement_of_start_A"] > 0.1
    for start in ("displaced", "lifted"):
        assert found[start]["displacement_A"] < 0.05
        assert found[start]["mae_by_difference_eV"] < 0.02
    baselines = found["baselines"]
    assert baselines["mae_of_composition_and_metal_eV"] > 0.01


def test_oc20_relaxations_are_started_again(
    script: Callable[..., str], tmp_path: Path
) -> None:
    frames = []
    for k, metal in enumerate(("Cu", "Cu", "Ni", "Ni", "Pd", "Pd")):
        steps = relaxation(metal, ("CO", "NO")[k % 2])
        frames += [replace(f, name=f"random{k}/{i}") for i, f in enumerate(steps)]
    path, out = tmp_path / "trajectories.h5", tmp_path / "oc20.h5"
    write(path, frames, Metadata("EMT", equilibrium=False))
    script("adsorption/make_oc20.py", path, "--out", out, "--splits", tmp_path)
    data, split = RaggedSet(out), Split.load(tmp_path / "oc20.json")
    first = data[0]
    assert first.fixed is not None
    assert first.fixed.tolist() == [True] * 4 + [False] * 6
    of_system = [(frame.name or "").split("/")[0] for frame in data]
    tested = {of_system[i] for i in split.test}
    assert tested
    assert not tested & {of_system[i] for i in [*split.train, *split.val]}
    result = tmp_path / "result.json"
    common = ("--data", out, "--split", tmp_path / "oc20.json", "--out", result)
    script("adsorption/evaluate_oc20.py", "emt", *common, "--frames", 3, "--systems", 1)
    found = json.loads(result.read_text())["test"]
    assert found["systems"] == len(tested)
    assert found["mae_force_eV_per_A"] < 1e-4
    assert found["displacement_A"] < 1e-3 < found["displacement_of_start_A"]
    assert found["error_of_energy_gained_eV"] < 1e-3
