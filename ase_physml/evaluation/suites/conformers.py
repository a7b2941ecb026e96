"""Suite of textbook conformers: which of two lies higher, and by how much."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ase import Atoms, units
from rdkit import Chem
from rdkit.Chem import rdDistGeom
from rdkit.Chem.rdForceFieldHelpers import (
    MMFFGetMoleculeForceField,
    MMFFGetMoleculeProperties,
)

from ase_physml.chem.smiles import structure_of
from ase_physml.errors import PhysMLError
from ase_physml.evaluation.candidate import Candidate
from ase_physml.evaluation.suite import Case, Record, Records, Row, Suite, good

Dihedrals = Mapping[tuple[int, int, int, int], float]

_LIST = Path(__file__).parents[1] / "conformers.yaml"
KCAL = units.kcal / units.mol
RIGHT = 1.0  # kcal/mol
STRAY = 40.0  # degrees
FMAX, STEPS = 0.005, 1000
_EMBEDDED, _STIFF = 10, 500.0  # conformations, and kcal/mol/rad^2 that hold angles


def _listed() -> list[dict[str, Any]]:
    entries = yaml.safe_load(_LIST.read_text())
    for entry in entries:
        for which in ("low", "high"):
            angles = entry[which].items()
            entry[which] = {tuple(map(int, k.split("-"))): v for k, v in angles}
    return list(entries)


def _cases(candidate: Candidate) -> Iterator[Case]:
    for entry in _listed():
        yield entry["name"], partial(_measure, candidate, entry)


def conformer(smiles: str, dihedrals: Dihedrals) -> Atoms:
    """Structure with these dihedral angles, by MMFF94.

    Args:
        smiles: SMILES; hydrogens that it writes are atoms like any other.
        dihedrals: Angles in degrees by four atoms in the order of the SMILES.

    Raises:
        PhysMLError: No embedding has them.
    """
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles, _as_written()))
    embedded = rdDistGeom.EmbedMultipleConfs(mol, _EMBEDDED, randomSeed=7)
    properties = MMFFGetMoleculeProperties(mol)
    best, lowest = -1, np.inf
    for k in embedded:
        field = MMFFGetMoleculeForceField(mol, properties, confId=k)
        for (a, b, c, d), angle in dihedrals.items():
            field.MMFFAddTorsionConstraint(
                a, b, c, d, False, angle - 1.0, angle + 1.0, _STIFF
            )
        field.Initialize()
        field.Minimize(maxIts=2000)
        atoms = structure_of(mol, mol.GetConformer(k).GetPositions())
        energy = field.CalcEnergy()
        if energy < lowest and strayed(atoms, dihedrals) < STRAY / 2:
            best, lowest = k, energy
    if best < 0:
        raise PhysMLError(f"no embedding of {smiles} has these dihedral angles")
    return structure_of(mol, mol.GetConformer(best).GetPositions())


def _as_written() -> Any:
    """Parser that keeps hydrogens."""
    parser: Any = Chem.SmilesParserParams()
    parser.removeHs = False
    return parser


def strayed(atoms: Atoms, dihedrals: Dihedrals) -> float:
    """Largest distance of a dihedral angle from what it should be, degrees."""
    found = [atoms.get_dihedral(*four) - angle for four, angle in dihedrals.items()]
    return float(np.abs((np.array(found) + 180.0) % 360.0 - 180.0).max())


def _measure(candidate: Candidate, entry: Mapping[str, Any]) -> Record:
    energies, stray = [], []
    for which in ("low", "high"):
        start = conformer(entry["smiles"], entry[which])
        found = candidate.relax(start, FMAX, STEPS)
        energies.append(found.energies[-1])
        stray.append(strayed(found.atoms, entry[which]))
    return {
        "energy": (energies[1] - energies[0]) / KCAL,
        "label": entry["energy"],
        "strayed": max(stray),
    }


def _rows(records: Records) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for name, r in good(records).items():
        rows[name] = {
            "accepted (kcal/mol)": r["label"],
            "found (kcal/mol)": r["energy"],
            "turned by (°)": r["strayed"],
        }
    some = [r for r in good(records).values() if r["strayed"] < STRAY]
    if some:
        errors = np.array([abs(r["energy"] - r["label"]) for r in some])
        rows["all that stayed"] = {
            "pairs": len(some),
            "within 1 kcal/mol (%)": 100.0 * float((errors < RIGHT).mean()),
            "mean error (kcal/mol)": float(errors.mean()),
        }
    return rows


CONFORMERS = Suite(
    name="conformers",
    title="Textbook conformers",
    about=(
        "Two conformers of a molecule, made with RDKit, relaxed by BFGS to 0.005 eV/Å: "
        "how much higher the second lies, against accepted values of electronic "
        "energies, which are good to about half a kcal/mol. Turned by: the largest "
        "change of a dihedral angle that tells the two apart; beyond 40° a conformer "
        "has become another, and the pair is left out of the last row."
    ),
    cases=_cases,
    rows=_rows,
    better={"within 1 kcal/mol (%)": "high", "mean error (kcal/mol)": "low"},
)
