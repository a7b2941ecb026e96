"""SMILES of all kinds: conformers of that molecule, or one clear line, in time."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from rdkit import Chem

from ase_physml.chem.bonds import keeps_bonds
from ase_physml.chem.smiles import with_hydrogens
from ase_physml.chem.stereo import keeps_stereo
from ase_physml.errors import PhysMLError
from ase_physml.workflows.conformers.embedding import (
    ConformerEnsemble,
    ConformerSettings,
)
from ase_physml.workflows.conformers.generate import conformers_of
from ase_physml.workflows.inputs import from_smiles

pytestmark = pytest.mark.slow

# Of which there are conformers.
_LINES = (
    "C O N [He] [Ar] [Xe] [Na+] [Cl-] [OH-] [NH4+] [O-][O-] [CH3] [CH2] C[CH2]",
    "[O][O] [C-]#[O+]",
    "C#N C=C=C C=C=C=C N#N O=C=O FC(F)(F)F S(F)(F)(F)(F)(F)F FP(F)(F)(F)F ClCl",
    "c1ccccc1 c1cc[n+]([O-])cc1 C[N+](=O)[O-] CN=[N+]=[N-] C1=CC=C1 C1CC1 C12CC1C2",
    "C1=CC1",
    "C12C3C4C1C5C2C3C45 C1C2C=CC1C=C2 C1CCC/C=C/CC1 C1C[C@@H]2CC[C@H]1O2",
    "[2H]C([2H])([2H])O [13CH4] [18OH2] C[C@H](O)C(=O)O F/C=C/F F/C=C\\F CC=N",
    "C/C=N/O",
    "C[S@](=O)CC CS(=O)(=O)N OP(=O)(O)O C[Si](C)(C)C CB(O)O [SeH2] BrC(Cl)(F)I",
    "C[As](C)C",
    "C[Zn]C C[Hg]C [O-]C(=O)C[NH3+] NCC(=O)NCC(=O)NCC(=O)O CCCCCCCCCCCCCCCCCCCC",
    "C1CCCCCCCCCCCCC1 OC[C@H]1O[C@@H](O)[C@H](O)[C@@H](O)[C@@H]1O",
    "CC(C)(C)C(C(C)(C)C)C(C)(C)C FC(F)(F)C(C(F)(F)F)(C(F)(F)F)C(F)(F)F",
    "c1ccc2ccccc2c1 [Fe] CC1=C(C)C1=O O=C1C=CC(=O)C=C1 N[C@@H](CS)C(=O)O",
)
GOOD = [smiles for line in _LINES for smiles in line.split()]
# Of which there are none, and what the line must name.
BAD = {
    "": "not a valid",
    "   ": "not a valid",
    "C(": "not a valid",
    "C1CC": "not a valid",
    "c1cccc1": "not a valid",
    "C(C)(C)(C)(C)C": "not a valid",
    "Xx": "not a valid",
    "[H][H]": "hydrogen",
    "[H+]": "hydrogen",
    "[2H][2H]": "hydrogen",
    "*": "dummy",
    "*CC*": "dummy",
    "[R1]CC": "not a valid",
    "C[*:1]": "dummy",
    "CC.O": "several molecules",
    "[Na+].[Cl-]": "several molecules",
    "C1#CC1": "no geometry",
    "C1C[C@H]2CC[C@H]1O2": "cannot exist",
    "C" * 201: "201 atoms",
    "C" * 20_000: "characters",
    "C\u00e9": "characters",
    "CC\nO": "characters",
}
SETTINGS = ConformerSettings(n=3, timeout=300.0)


def random_molecules(count: int, seed: int = 0) -> list[str]:
    """Trees and rings of some elements, with charges, stereo and isotopes at times."""
    random = np.random.default_rng(seed)
    parts = ["C", "N", "O", "C(=O)", "C(F)", "S", "[C@H](C)", "C#CC", "c1ccccc1"]
    parts += ["C(C)(C)", "[13CH2]", "[NH2+]", "C(O)", "P(C)", "[SiH2]", "C1CC1"]
    found = []
    while len(found) < count:
        drawn = random.choice(parts, size=random.integers(2, 8))
        smiles = "C" + "".join(drawn)
        if Chem.MolFromSmiles(smiles) is not None:
            found.append(smiles)
    return found


def structure(smiles: str) -> Atoms | str:
    """A structure, or the line that says why there is none."""
    try:
        return from_smiles(smiles)
    except PhysMLError as error:
        return str(error)


@pytest.mark.parametrize("smiles", [*GOOD, *random_molecules(30)])
def test_conformers_of_this_molecule(smiles: str, tiny_conformations: Path) -> None:
    (found,) = conformers_of([smiles], tiny_conformations, None, SETTINGS)
    assert isinstance(found, ConformerEnsemble), str(found)
    molecule = with_hydrogens(smiles)
    for atoms in found.structures:
        assert len(atoms) == molecule.GetNumAtoms()
        assert np.isfinite(atoms.positions).all()
        assert keeps_bonds(molecule, atoms.positions)
        assert keeps_stereo(molecule, atoms.positions)


@pytest.mark.parametrize("smiles", BAD)
def test_one_clear_line(smiles: str, tiny_conformations: Path) -> None:
    (found,) = conformers_of([smiles], tiny_conformations, None, SETTINGS)
    assert isinstance(found, PhysMLError)
    assert BAD[smiles] in str(found)
    assert "\n" not in str(found)
    assert len(str(found)) < 400


@pytest.mark.parametrize("smiles", [*GOOD, *BAD, *random_molecules(30, seed=1)])
def test_one_structure_or_one_line(smiles: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        atoms = structure(smiles)
    if isinstance(atoms, str):
        assert "\n" not in atoms
        assert len(atoms) < 500
        return
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert keeps_bonds(molecule, atoms.positions)
    assert keeps_stereo(molecule, atoms.positions)
