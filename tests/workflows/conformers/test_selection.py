"""Which conformers are one: symmetry, hydrogens that matter, energies."""

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from ase_physml.chem.embed import embed, etkdg_parameters
from ase_physml.chem.smiles import with_hydrogens, with_positions
from ase_physml.workflows.conformers import selection
from ase_physml.workflows.conformers.selection import (
    RMSD,
    SAME_ENERGY,
    distinct,
    spread,
)


def turned(
    smiles: str, torsion: tuple[int, int, int, int], by: float
) -> tuple[Chem.Mol, np.ndarray, np.ndarray]:
    """A molecule, a geometry, and the same with one torsion turned, degrees."""
    molecule = with_hydrogens(smiles)
    (before,) = embed(molecule, etkdg_parameters(0))
    trial = with_positions(molecule, before)
    conformer = trial.GetConformer()
    angle = AllChem.GetDihedralDeg(conformer, *torsion)
    AllChem.SetDihedralDeg(conformer, *torsion, angle + by)
    return molecule, before, conformer.GetPositions()


@pytest.mark.parametrize(
    ("smiles", "torsion", "counts"),
    [
        ("CCO", (0, 1, 2, 8), True),  # OH
        ("CCCO", (4, 0, 1, 2), False),  # CH3
        ("CCS", (0, 1, 2, 8), True),
    ],
)
def test_hydrogens_count_unless_they_are_on_carbon(
    smiles: str, torsion: tuple[int, int, int, int], counts: bool
) -> None:
    molecule, before, after = turned(smiles, torsion, 60.0)
    assert np.abs(after - before).max() > 0.5
    assert (RMSD(molecule)(before, after) > 0.1) == counts
    assert RMSD(molecule, polar=False)(before, after) < 1e-3


def test_hydrogens_that_are_alike_may_change_places() -> None:
    amine = with_hydrogens("CN")
    (positions,) = embed(amine, etkdg_parameters(0))
    swapped = positions[[0, 1, 2, 3, 4, 6, 5]]
    assert RMSD(amine)(positions, swapped) < 1e-6


def test_the_bound_is_one_and_tells_most_apart() -> None:
    molecule = with_hydrogens("OCC(O)CN")
    rmsd = RMSD(molecule)
    found = embed(molecule, etkdg_parameters(0), 8)
    pairs = [(a, b) for k, a in enumerate(found) for b in found[:k]]
    for a, b in pairs:
        assert rmsd.least(a, b) <= rmsd(a, b) + 1e-9
    assert max(rmsd.least(a, b) for a, b in pairs) > 0.2
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    assert rmsd.least(found[0], found[0] @ rotation + 1.0) < 1e-9


def test_too_many_symmetries_are_no_reason_to_count_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    molecule = with_hydrogens("FC(F)(F)C(C(F)(F)F)(C(F)(F)F)C(F)(F)F")
    (positions,) = embed(molecule, etkdg_parameters(0))
    order = [2, 1, 0, 3, *range(4, 17)]
    monkeypatch.setattr(selection, "_SYMMETRIES", 50)
    assert RMSD(molecule)(positions, positions[order]) < 1e-6


def test_after_a_relaxation_energies_must_agree() -> None:
    molecule = with_hydrogens("CCO")
    (positions,) = embed(molecule, etkdg_parameters(0))
    three, rmsd = [positions] * 3, RMSD(molecule)
    assert distinct(three, rmsd, 0.2, 3) == [0]
    energies = [0.0, 0.5 * SAME_ENERGY, 1.2 * SAME_ENERGY]
    assert distinct(three, rmsd, 0.2, 3, energies) == [0, 2]
    assert distinct(three, rmsd, 0.2, 1, energies) == [0]


def test_spread_takes_the_farthest_next() -> None:
    molecule = with_hydrogens("OCCCO")
    found = embed(molecule, etkdg_parameters(0), 10)
    rmsd = RMSD(molecule)
    kept = spread(found, rmsd, 0.1, 4)
    assert kept[0] == 0
    far = [rmsd(found[0], one) for one in found]
    assert kept[1] == int(np.argmax(far))
    assert len(kept) == len(set(kept)) == 4
    assert spread([found[0]] * 5, rmsd, 0.1, 4) == [0]
