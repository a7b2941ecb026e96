"""SDF and mol files, V2000 and V3000, with bonds and charges: read by RDKit."""

import re
from collections.abc import Iterator
from pathlib import Path

from ase import Atoms
from rdkit import Chem
from rdkit.rdBase import BlockLogs

from ase_physml.charges import CHARGE_KEYS, MULTIPLICITY_KEYS, UNPAIRED_KEYS
from ase_physml.data.files.limits import check_atoms
from ase_physml.data.files.text import decode
from ase_physml.errors import DataError, StructureError

_END = b"$$$$"
_COUNTS = re.compile(r"M  V30 COUNTS\s+(\d+)")
# Fields of data that say what RDKit does not look for.
_STATED = {*CHARGE_KEYS, *MULTIPLICITY_KEYS, *UNPAIRED_KEYS}


def read_sdf(path: Path) -> Iterator[Atoms | StructureError]:
    """Structure of each record, or why there is none.

    ``info`` has ``name``, ``smiles`` (of the bonds), and ``charge`` and ``spin`` where
    they are not 0 and 1; formal charges of atoms are initial charges.
    """
    for number, record in enumerate(_records(path), 1):
        where = f"{path}: molecule {number}"
        try:
            check_atoms(path, _claimed(record), len(record), f"molecule {number}")
            yield _structure(record, where)
        except DataError as error:
            yield StructureError(str(error))
        except StructureError as error:
            yield error


def _records(path: Path) -> Iterator[str]:
    lines: list[bytes] = []
    with path.open("rb") as file:
        for line in file:
            if line.startswith(_END):
                yield "".join(map(decode, lines))
                lines = []
            else:
                lines.append(line.replace(b"\r\n", b"\n"))
    if any(line.strip() for line in lines):
        yield "".join(map(decode, lines))


def _claimed(record: str) -> int:
    found = _COUNTS.search(record)
    return int(found[1]) if found else 0


def _structure(record: str, where: str) -> Atoms:
    molecule, facts = _parsed(record, where)
    for atom in molecule.GetAtoms():
        if atom.GetAtomicNum() == 0 or atom.HasQuery():
            raise StructureError(
                f"{where}: atom {atom.GetIdx()} ({atom.GetSymbol()}) is of no element"
            )
    _check_hydrogens(molecule, where)
    _check_coordinates(molecule, record, where)
    info: dict[str, object] = {k: v for k, v in facts.items() if k.lower() in _STATED}
    return _atoms(molecule, info)


def _parsed(record: str, where: str) -> tuple[Chem.Mol, dict[str, str]]:
    """Molecule of a record, and its data fields."""
    with BlockLogs():
        supplier = Chem.SDMolSupplier()
        supplier.SetData(record, removeHs=False)
        molecule = supplier[0] if len(supplier) else None
    if molecule is None:
        raise StructureError(f"{where} cannot be read ({_reason(record)})")
    if molecule.GetNumAtoms() == 0:
        raise StructureError(f"{where} has no atoms")
    # Its public names are the data fields.
    names = [name for name in molecule.GetPropNames() if not name.startswith("_")]
    return molecule, {name: molecule.GetProp(name) for name in names}


def _reason(record: str) -> str:
    with BlockLogs():
        molecule = Chem.MolFromMolBlock(record, sanitize=False, removeHs=False)
        problems = [] if molecule is None else Chem.DetectChemistryProblems(molecule)
    if problems:
        return str(problems[0].Message()).strip().splitlines()[0]
    return "damaged or truncated" if molecule is None else "RDKit refuses it"


def _check_hydrogens(molecule: Chem.Mol, where: str) -> None:
    lacking = {a.GetIdx(): a.GetTotalNumHs() for a in molecule.GetAtoms()}
    count = sum(lacking.values())
    if count:
        first = molecule.GetAtomWithIdx(next(k for k, n in lacking.items() if n))
        raise StructureError(
            f"{where} lacks {count} hydrogens by its bonds, the first on atom "
            f"{first.GetIdx()} ({first.GetSymbol()}); add them (Chem.AddHs(mol, "
            "addCoords=True) of RDKit, or `obabel -h`), or give XYZ if it is a radical"
        )


def _check_coordinates(molecule: Chem.Mol, record: str, where: str) -> None:
    header = (record.splitlines() + [""] * 2)[1]
    if header[20:22] == "2D" and not molecule.GetConformer().Is3D():
        raise StructureError(
            f"{where} is a drawing in two dimensions; make it 3-D, or give its SMILES "
            f"({Chem.MolToSmiles(Chem.RemoveHs(molecule))})"
        )


def _atoms(molecule: Chem.Mol, info: dict[str, object]) -> Atoms:
    each = list(molecule.GetAtoms())
    charges = [atom.GetFormalCharge() for atom in each]
    unpaired = sum(atom.GetNumRadicalElectrons() for atom in each)
    if sum(charges):
        info["charge"] = sum(charges)
    if unpaired:
        info["spin"] = unpaired + 1
    title = molecule.GetProp("_Name").strip() if molecule.HasProp("_Name") else ""
    if title:
        info["name"] = title
    info["smiles"] = _smiles(molecule)
    atoms = Atoms(
        [atom.GetAtomicNum() for atom in each],
        molecule.GetConformer().GetPositions(),
        info=info,
    )
    if any(charges):
        atoms.set_initial_charges(charges)
    if any(atom.GetIsotope() for atom in each):
        atoms.set_masses([atom.GetMass() for atom in each])
    return atoms


def _smiles(molecule: Chem.Mol) -> str:
    copy = Chem.Mol(molecule)
    with BlockLogs():
        Chem.AssignStereochemistryFrom3D(copy)
        return str(Chem.MolToSmiles(Chem.RemoveHs(copy)))
