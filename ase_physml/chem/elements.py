"""Which elements molecules have, and whether a model was trained on them."""

from collections.abc import Sequence

import numpy as np
from rdkit import Chem

from ase_physml.chem.featurise import ELEMENTS, OTHER, Featurised
from ase_physml.data.frame import Array
from ase_physml.errors import DataError

OTHERS = "others"
"""What all elements without a feature of their own are called."""


def element_names(atom_features: Array) -> list[str]:
    """Symbols of the elements that atoms (n, 39) are of, or `OTHERS`."""
    found = np.flatnonzero(atom_features[:, : OTHER + 1].any(axis=0))
    symbol = Chem.GetPeriodicTable().GetElementSymbol
    return [OTHERS if k == OTHER else symbol(ELEMENTS[k]) for k in found]


def unseen_elements(molecule: Featurised, seen: Sequence[str]) -> list[str]:
    """Elements of a molecule that are not among these; none if these are not known.

    All are named, those too that the model would not tell apart.
    """
    found = element_names(molecule.atom_features) if seen else []
    new = [name for name in found if name not in seen]
    if OTHERS not in new:
        return new
    return [name for name in new if name != OTHERS] + _others(molecule.smiles)


def _others(smiles: str) -> list[str]:
    """Symbols of the elements that have no feature of their own."""
    atoms = Chem.MolFromSmiles(smiles).GetAtoms()
    numbers = {atom.GetAtomicNum() for atom in atoms} - {1, *ELEMENTS}
    symbol = Chem.GetPeriodicTable().GetElementSymbol
    return [symbol(number) for number in sorted(numbers)]


def check_elements(molecule: Featurised, seen: Sequence[str], model: str) -> None:
    """Refuse what a model of conformations knows nothing of.

    Args:
        molecule: To be predicted.
        seen: Elements that the model was trained on, none if they are not known.
        model: Its name.

    Raises:
        DataError: An element is not among them.
    """
    new = unseen_elements(molecule, seen)
    if new:
        raise DataError(
            f"{model} was trained on {', '.join(seen)} and has no idea of the bonds of "
            f"{', '.join(new)}; take a model that was trained on them"
        )
