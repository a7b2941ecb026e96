"""From text to a molecule of RDKit: the one place where SMILES are parsed."""

import re
from typing import Any

from rdkit import Chem
from rdkit.rdBase import BlockLogs

from ase_physml.errors import DataError

_LONGEST = 10_000
_SHOWN = 200
# What ChemAxon's extension says of polymers and of bonds that may be elsewhere.
_OPEN = re.compile(r"\|(?:[^|]*,)?(?:Sg|SgD|m|LN):")


def shown(smiles: str) -> str:
    """A SMILES in quotes for messages, cut if it is long."""
    return repr(smiles if len(smiles) <= _SHOWN else smiles[: _SHOWN - 3] + "...")


def parse_smiles(smiles: str, parameters: Any = None) -> Chem.Mol | None:
    """The molecule, None where RDKit finds none; its own complaints stay silent.

    Args:
        smiles: Perhaps with ChemAxon's extension in bars, whose radicals and
            stereochemistry count.
        parameters: RDKit's ``SmilesParserParams``; its defaults if None.

    Raises:
        DataError: Characters that no SMILES has (RDKit would stop before them), a
            polymer, or longer than 10,000 characters.
    """
    text = smiles.strip()
    if not (text.isascii() and text.replace("\t", " ").isprintable()):
        raise DataError(
            f"{text[:60]!a} holds characters that no SMILES has; correct it or "
            "leave it out"
        )
    if len(text) > _LONGEST:
        raise DataError(
            f"a SMILES of {len(text):,} characters ({text[:20]}...); longer than "
            f"{_LONGEST:,} are not read"
        )
    if _OPEN.search(text):
        raise DataError(
            f"{shown(text)} is a polymer or has bonds that may be elsewhere; write one "
            "molecule"
        )
    # Its stubs know no None.
    given: Any = Chem.SmilesParserParams() if parameters is None else parameters
    with BlockLogs():
        molecule: Chem.Mol | None = Chem.MolFromSmiles(text, given)
    return molecule
