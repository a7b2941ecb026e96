"""Molecules as arrays: Attentive-FP features of heavy atoms and bonds.

Features are a function of the canonical SMILES alone: whatever comes in, a SMILES or
an RDKit molecule, with or without hydrogens or coordinates, is written as canonical
SMILES and read again. Equal molecules get equal arrays, and what is learned from
perceived bonds holds for molecules that are typed in.

- Hydrogens are implicit, deuterium and tritium among them.
- Isotopes are ignored: geometries and the properties here do not depend on them.
- Salts and other fragments stay together; nothing but readouts joins them.
- Metals and further elements outside the table are "other", with their true mass.
- Charges and radicals are features. Dummy atoms and queries are refused, and so is
  what has no atoms but hydrogen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdCIPLabeler
from rdkit.rdBase import BlockLogs

from ase_physml.chem.canonical import canonical_smiles
from ase_physml.data.frame import Array
from ase_physml.errors import DataError

Order = Literal["smiles", "rank"]
"""Order of the atoms: as canonical SMILES writes them, or by rank."""

ELEMENTS = (5, 6, 7, 8, 9, 14, 15, 16, 17, 33, 34, 35, 52, 53, 85)
"""Elements with a feature of their own; all others share the next one."""

OTHER = len(ELEMENTS)
"""Column of the atom features that marks every other element."""

HYDROGENS = slice(31, 36)
"""Columns of the atom features that count hydrogens; not in the 34-d variant."""

OTHERS = "others"
"""Name of all elements without a feature of their own."""

ATOM_FEATURES = 39
BOND_FEATURES = 10

NO_PATH = int(np.iinfo(np.uint16).max)
"""Hops between atoms of different fragments."""

_MASS_UNIT = 50.0
# Above this, which takes about a second, stereocentres keep the labels found by then.
_CIP_ITERATIONS = 1_250_000

_HYBRIDISATIONS = {
    Chem.HybridizationType.SP: 0,
    Chem.HybridizationType.SP2: 1,
    Chem.HybridizationType.SP3: 2,
    Chem.HybridizationType.SP3D: 3,
    Chem.HybridizationType.SP3D2: 4,
}
_BONDS = {
    Chem.BondType.SINGLE: 0,
    Chem.BondType.DOUBLE: 1,
    Chem.BondType.TRIPLE: 2,
    Chem.BondType.AROMATIC: 3,
}


@dataclass(frozen=True)
class Featurised:
    """Molecule of n heavy atoms and b bonds, atoms in canonical order.

    Attributes:
        smiles: Canonical SMILES.
        atom_features: Features of the atoms, int8 (n, 39): element one-hot 16, degree
            6, formal charge, radical electrons, hybridisation 6, aromatic, hydrogens 5,
            R, S, possible stereocentre.
        masses: Masses in units of 50 u, float32 (n,).
        edge_features: Features of the bonds, int8 (2b, 10): single, double, triple,
            aromatic, conjugated, in a ring, stereo one-hot (none, any, Z, E).
        source: Sending atom of each edge, int64 (2b,).
        target: Receiving atom of each edge, ascending, int64 (2b,).
        reverse: Edge in the other direction, int64 (2b,).
        hops: Bonds between the atoms of each pair, uint16 (n (n - 1) / 2,), for pairs
            (0, 1), (0, 2), (1, 2), (0, 3) and so on; `NO_PATH` where there is none.
        input_index: Place of each atom among the heavy atoms of the input, int64 (n,).
        positions: Positions, Å, float32 (n, 3), or None.
    """

    smiles: str
    atom_features: Array
    masses: Array
    edge_features: Array
    source: Array
    target: Array
    reverse: Array
    hops: Array
    input_index: Array
    positions: Array | None = None


def featurise(
    molecule: str | Chem.Mol,
    positions: Array | None = None,
    order: Order = "smiles",
) -> Featurised:
    """Arrays of a molecule, the same for every order of its atoms.

    Atoms that the symmetry of the graph makes equal are told apart by their order in
    the input; no feature depends on that, the order of ``positions`` does.

    Args:
        molecule: SMILES or RDKit molecule.
        positions: Positions of its heavy atoms, in the order of the input, Å (n, 3).
        order: Order of the atoms. "smiles" walks along the bonds, as the papers' LSTMs
            read molecules; "rank" is RDKit's canonical ranking, where neighbours may be
            far apart.

    Raises:
        DataError: Not a molecule, no heavy atom, a dummy atom, or a wrong number of
            positions.
    """
    with BlockLogs():
        smiles, read, index = canonical_smiles(molecule)
        if order == "rank":
            ranks = np.argsort(Chem.CanonicalRankAtoms(read, breakTies=True))
            read = Chem.RenumberAtoms(read, ranks.tolist())
            index = index[ranks]
        _label_stereo(read)
        source, target, reverse, edge_features = _edges(read)
        return Featurised(
            smiles=smiles,
            atom_features=_atom_features(read),
            masses=_masses(read),
            edge_features=edge_features,
            source=source,
            target=target,
            reverse=reverse,
            hops=_hops(read),
            input_index=index,
            positions=_reordered(positions, index, smiles),
        )


def _reordered(positions: Array | None, index: Array, smiles: str) -> Array | None:
    if positions is None:
        return None
    if positions.shape != (len(index), 3):
        raise DataError(
            f"{smiles}: positions of shape {positions.shape} for {len(index)} heavy "
            "atoms; give one row for each"
        )
    return positions[index].astype(np.float32)


def _atom_features(molecule: Chem.Mol) -> Array:
    # As the CIP labels, independent of RDKit's global choice of stereo perception.
    possible = {
        stereo.centeredOn
        for stereo in Chem.FindPotentialStereo(molecule)
        if stereo.type == Chem.StereoType.Atom_Tetrahedral
    }
    codes, values = [], []
    for atom in molecule.GetAtoms():
        label = _cip(atom)
        codes.append(
            (
                _element(atom.GetAtomicNum()),
                min(atom.GetDegree(), 5),
                _HYBRIDISATIONS.get(atom.GetHybridization(), 5),
                min(atom.GetTotalNumHs(), 4),
            )
        )
        values.append(
            (
                atom.GetFormalCharge(),
                atom.GetNumRadicalElectrons(),
                atom.GetIsAromatic(),
                label == "R",
                label == "S",
                atom.GetIdx() in possible,
            )
        )
    element, degree, hybridisation, hydrogens = np.array(codes).T
    rest = np.array(values, dtype=np.int8)
    return np.concatenate(
        [
            _one_hot(element, 16),
            _one_hot(degree, 6),
            rest[:, :2],
            _one_hot(hybridisation, 6),
            rest[:, 2:3],
            _one_hot(hydrogens, 5),
            rest[:, 3:],
        ],
        axis=1,
    )


def _label_stereo(molecule: Chem.Mol) -> None:
    try:
        rdCIPLabeler.AssignCIPLabels(molecule, maxRecursiveIterations=_CIP_ITERATIONS)
    except RuntimeError as error:
        if "Iterations" not in str(error):
            raise


def _edges(molecule: Chem.Mol) -> tuple[Array, Array, Array, Array]:
    """Both directions of each bond, sorted by target, then by source."""
    bonds = list(molecule.GetBonds())
    ends = np.array([(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in bonds])
    ends = ends.reshape(-1, 2).astype(np.int64)
    source, target = np.concatenate([ends, ends[:, ::-1]]).T
    order = np.lexsort((source, target))
    place = np.argsort(order)
    other_way = (order + len(bonds)) % max(1, 2 * len(bonds))
    features = np.array([_bond_features(b) for b in bonds], dtype=np.int8)
    features = features.reshape(-1, BOND_FEATURES)
    both = np.concatenate([features, features])
    return source[order], target[order], place[other_way], both[order]


def _bond_features(bond: Chem.Bond) -> list[int]:
    features = [0] * BOND_FEATURES
    # Any other kind of bond, to a metal say, has none of the four.
    kind = _BONDS.get(bond.GetBondType())
    if kind is not None:
        features[kind] = 1
    features[4] = bond.GetIsConjugated()
    features[5] = bond.IsInRing()
    features[6 + _stereo(bond)] = 1
    return features


def _stereo(bond: Chem.Bond) -> int:
    """Stereo of a bond: 0 none, 1 any, 2 Z, 3 E; twisted single bonds have none."""
    label = _cip(bond)
    if label in ("Z", "E"):
        return 2 if label == "Z" else 3
    return int(bond.GetStereo() == Chem.BondStereo.STEREOANY)


def _cip(item: Chem.Atom | Chem.Bond) -> str:
    """CIP label; pseudoasymmetric ones, in lower case, count as the others."""
    label: str = item.GetProp("_CIPCode") if item.HasProp("_CIPCode") else ""
    return label.upper()


def _hops(molecule: Chem.Mol) -> Array:
    distances = Chem.GetDistanceMatrix(molecule)
    below = np.tril_indices(len(distances), -1)
    hops: Array = np.minimum(distances[below], NO_PATH).astype(np.uint16)
    return hops


def _one_hot(codes: Array, width: int) -> Array:
    rows: Array = np.eye(width, dtype=np.int8)[codes]
    return rows


@lru_cache(maxsize=128)
def _element(number: int) -> int:
    return ELEMENTS.index(number) if number in ELEMENTS else OTHER


def _masses(molecule: Chem.Mol) -> Array:
    numbers = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    return np.array([_mass(number) for number in numbers], dtype=np.float32)


@lru_cache(maxsize=128)
def _mass(number: int) -> float:
    return float(Chem.GetPeriodicTable().GetAtomicWeight(number)) / _MASS_UNIT


def element_names(atom_features: Array) -> list[str]:
    """Symbols of the elements that atoms (n, 39) are of, or `OTHERS`."""
    found = np.flatnonzero(atom_features[:, : OTHER + 1].any(axis=0))
    symbol = Chem.GetPeriodicTable().GetElementSymbol
    return [OTHERS if k == OTHER else symbol(ELEMENTS[k]) for k in found]


def unseen_elements(molecule: Featurised, seen: Sequence[str]) -> list[str]:
    """Elements of a molecule that a model has not seen.

    All are named, those too that the model would not tell apart.

    Args:
        molecule: Molecule to be predicted.
        seen: Elements that the model was trained on; if these are not known, there are
            none.
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
        molecule: Molecule to be predicted.
        seen: Elements that the model was trained on, none if they are not known.
        model: Name of the model.

    Raises:
        DataError: An element is not among them.
    """
    new = unseen_elements(molecule, seen)
    if new:
        raise DataError(
            f"{model} was trained on {', '.join(seen)} and has no idea of the bonds of "
            f"{', '.join(new)}; take a model that was trained on them"
        )
