"""The scripts that measure pathways and stereochemistry."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from rdkit import Chem
from rdkit.Chem import AllChem

from ase_physml.chem.atom_mapping import read_reaction
from ase_physml.data.frame import Frame
from ase_physml.data.index_split import Split
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write
from ase_physml.workflows.pathways.ends import grow, meet

FOLDER = Path(__file__).parents[2] / "training"
# Its hydrogens, which have no numbers, come last: one goes from carbon to oxygen.
ENOL = "[CH3:1][CH:2]=[O:3]>>[CH2:1]=[CH:2][OH:3]"


def test_stereochemistry(
    script: Callable[..., str], tiny_conformations: Path, tmp_path: Path
) -> None:
    table = tmp_path / "some.smi"
    table.write_text("CCO\nCC(O)C#N\nCC=CC\nnonsense\nCC(N)C(=O)O\nC.C\n")
    options = ("--model", tiny_conformations, "--out", tmp_path / "a.sdf")
    found = script("physchem/evaluate_stereo.py", table, *options)
    assert "3 conformers of 3 of 3 isomers" in found
    assert "stereocentres: 2 right, 0 wrong, 0 not readable" in found
    assert "double bonds: 1 right, 0 wrong, 0 not readable" in found
    assert "0 without a conformer" in found


@pytest.mark.parametrize("smiles", ["C[C@H](O)C#N", "C/C=C/[C@@H](F)Cl", "C/C=C\\C"])
def test_stereochemistry_is_read_off_the_geometry(smiles: str) -> None:
    script_ = runpy.run_path(str(FOLDER / "physchem/evaluate_stereo.py"))
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(molecule, randomSeed=1) == 0
    positions = molecule.GetConformer().GetPositions()
    asked, found = script_["labels"](molecule), script_["as_read"](molecule, positions)
    assert asked and asked.items() <= found.items()
    mirrored = script_["as_read"](molecule, positions * [1.0, 1.0, -1.0])
    for key, label in asked.items():
        assert (mirrored[key] == label) == (key[0] == "bond")


def test_pathways(
    script: Callable[..., str], tiny_committee: Path, tmp_path: Path
) -> None:
    reaction = read_reaction(ENOL)
    (start,) = meet(reaction, 1, seed=0)
    numbers = np.array([a.GetAtomicNum() for a in reaction.reactant.GetAtoms()])
    frames = [
        Frame(numbers, start, energy=energy, name=f"enol/{role}", smiles=ENOL)
        for role, energy in (("r", 1.0), ("ts", 3.0), ("p", 2.0))
    ]
    data = tmp_path / "set.h5"
    write(data, frames, Metadata(level_of_theory="none"))
    split = tmp_path / "split.json"
    Split(np.array([], dtype=np.int64), np.array([2]), np.array([0, 1])).save(split)
    options = ("--model", tiny_committee, "--steps", 1, "-n", 1)
    found = script(
        "reactions/evaluate_pathways.py",
        data, "--data", data, "--split", split, *options, "--out", tmp_path / "out",
    )  # fmt: skip
    assert "0 of 1 known transition states found" in found
    (row,) = json.loads((tmp_path / "out" / "report.json").read_text())
    assert row["name"] == "enol" and row["label"] == 2.0 and row["ccsd"] == 3.0
    assert not row["found"]


def test_a_known_saddle_is_known_again() -> None:
    found = runpy.run_path(str(FOLDER / "reactions/evaluate_pathways.py"))
    reaction = read_reaction(ENOL)
    (start,) = meet(reaction, 1, seed=0)
    numbers = np.array([a.GetAtomicNum() for a in reaction.reactant.GetAtoms()])
    ours = Atoms(numbers, start)

    def off(positions: np.ndarray, smiles: str) -> float:
        known = found["Known"]("enol", smiles, Frame(numbers, positions), 0.0, 0.0)
        return float(found["off"](reaction, ours, known))

    alike = [n for n in range(3, 7) if reaction.penalty[0, n - 3] == 0.0]
    exchanged = start.copy()
    exchanged[alike[:2]] = exchanged[alike[1::-1]]
    mirrored = exchanged * [1.0, -1.0, 1.0]
    assert off(exchanged + 3.0, ENOL) == pytest.approx(0.0, abs=1e-6)
    assert off(mirrored, ENOL) == pytest.approx(0.0, abs=1e-6)
    moved = start.copy()
    moved[2] += 2.0
    assert off(moved, ENOL) > 0.5
    grown = grow(reaction, start)
    assert grown is not None
    images = [ours, Atoms(numbers, grown)]
    assert len(found["changed"](images)) == len(found["expected"](reaction)) == 2
