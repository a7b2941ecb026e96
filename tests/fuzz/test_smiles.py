"""SMILES, whole and damaged, through the one parser of all verbs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from rdkit import Chem

from ase_physml.chem.atom_mapping import read_reaction
from ase_physml.chem.features import featurise
from ase_physml.chem.smiles import with_hydrogens
from ase_physml.workflows.inputs import from_smiles, read_inputs

Check = Callable[[Callable[[], Any]], Any]

pytestmark = pytest.mark.slow

WHOLE = [
    "CCO",
    "C/C=C\\C",
    "F/C=C/[N+](=O)[O-]",
    "N[C@@H](C)C(=O)O",
    "c1ccc2[nH]ccc2c1",
    "[Na+].[Cl-]",
    "[2H]OC",
    "C[C@H](O)CC |&1:1| racemate",
    "OC1CC(O)CC1",
    "[H][H]",
    "[CH3:1][OH:2]>>[CH2:1]=[O:2]",
]
ODD = [*"CNOcn123()[]=#+-@/\\.%*:$> |&^,\t\n\0éÿ漢\udc80\ud800", "[Pt]", "[999C]"]
PARSERS: list[Callable[[str], Any]] = [
    from_smiles,
    featurise,
    with_hydrogens,
    read_reaction,
]


def mutant(random: np.random.Generator) -> str:
    letters = list(str(random.choice(WHOLE)))
    for _ in range(random.integers(1, 4)):
        place = int(random.integers(len(letters) + 1))
        if random.integers(2) or place == len(letters):
            letters.insert(place, str(ODD[random.integers(len(ODD))]))
        else:
            del letters[place]
        letters = letters or ["C"]
    return "".join(letters)


@pytest.mark.parametrize("seed", range(100))
def test_mutants(check: Check, seed: int) -> None:
    random = np.random.default_rng(seed)
    text = mutant(random)
    found = [check(lambda parse=parse: parse(text)) for parse in PARSERS]
    if isinstance(found[0], Atoms):
        assert text.strip().isascii()
        expected = Chem.AddHs(Chem.MolFromSmiles(text)).GetNumAtoms()
        assert len(found[0]) == expected


@pytest.mark.parametrize("seed", range(20))
def test_files_of_lines(tmp_path: Path, check: Check, seed: int) -> None:
    random = np.random.default_rng(seed)
    texts = [mutant(random) for _ in range(6)]
    lines = [
        text.encode("utf-8", "surrogateescape")
        for text in texts
        if "\ud800" not in text
    ]
    path = tmp_path / "a.smi"
    path.write_bytes(b"\n".join([b"C", *lines, b"O"]))
    found = check(lambda: [one for _, one in read_inputs([str(path)])])
    if len(found) > 1:
        assert isinstance(found[0], Atoms) and isinstance(found[-1], Atoms)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000,
        "C" + "(C" * 150 + ")" * 150,
        "C1" * 99,
        "C%99" * 100,
        "[" * 9999,
        "C" * 20_000,
        "[" + "1" * 400 + "C]",
        "[C+" + "9" * 50 + "]",
        "C:999999999999999",
        ".".join("C" * 150),
        "[C@@@@]",
        "C |",
        "C |(|",
        "C ||",
        "C |^9999999999:0|",
        "",
        " ",
        ">>",
        "C>>",
    ],
)
def test_extremes(check: Check, text: str) -> None:
    for parse in PARSERS[1:]:
        check(lambda parse=parse: parse(text))
