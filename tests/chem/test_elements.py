"""Elements of molecules, against those that a model was trained on."""

import pytest

from ase_physml.chem.elements import check_elements, element_names, unseen_elements
from ase_physml.chem.featurise import featurise
from ase_physml.errors import DataError


def test_elements_are_named_and_metals_are_others() -> None:
    found = element_names(featurise("[Na+].[O-]C(Cl)B").atom_features)
    assert found == ["B", "C", "O", "Cl", "others"]


def test_what_is_unseen() -> None:
    silane = featurise("C[SiH2]CO")
    assert unseen_elements(silane, ["C", "O"]) == ["Si"]
    assert unseen_elements(silane, ["C", "O", "Si"]) == []
    salt = featurise("[Na+].[Pt].CC(=O)[O-]")
    assert unseen_elements(salt, ["C", "O"]) == ["Na", "Pt"]
    assert unseen_elements(salt, ["C", "O", "others"]) == []
    # A model of an earlier version does not say what it has seen.
    assert unseen_elements(silane, []) == []


def test_bonds_of_unseen_elements_are_refused() -> None:
    check_elements(featurise("CCO"), ["C", "N", "O"], "qm9.pt")
    with pytest.raises(DataError, match=r"qm9\.pt was trained on C, N, O .* of S"):
        check_elements(featurise("CCS"), ["C", "N", "O"], "qm9.pt")
