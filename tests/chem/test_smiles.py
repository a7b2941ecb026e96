"""Structures of RDKit molecules: isotopes, charges, unpaired electrons."""

import numpy as np
import pytest

from ase_physml.chem.smiles import structure_of, with_hydrogens


@pytest.mark.parametrize(
    ("smiles", "masses"),
    [
        ("[2H]O", [2.014, 15.999, 1.008]),
        ("[13CH4]", [13.003, *[1.008] * 4]),
        # No table has this one.
        ("[99CH4]", [99.0, *[1.008] * 4]),
    ],
)
def test_isotopes_have_their_masses(smiles: str, masses: list[float]) -> None:
    molecule = with_hydrogens(smiles)
    atoms = structure_of(molecule, np.zeros((len(masses), 3)))
    assert atoms.get_masses() == pytest.approx(masses, abs=1e-3)


def test_only_what_is_unusual_is_said() -> None:
    plain = structure_of(with_hydrogens("C[N+](=O)[O-]"), np.zeros((7, 3)))
    assert set(plain.arrays) == {"numbers", "positions"}
    ion = structure_of(with_hydrogens("[OH-]"), np.zeros((2, 3)))
    assert ion.get_initial_charges().tolist() == [-1.0, 0.0]
    radical = structure_of(with_hydrogens("[CH3]"), np.zeros((4, 3)))
    assert radical.get_initial_magnetic_moments().tolist() == [1.0, 0.0, 0.0, 0.0]
