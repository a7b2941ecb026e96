"""Kind of a file, by its first bytes and then by its ending."""

import re
from pathlib import Path

from ase_physml.errors import DataError

_HEAD = 8192
_MAGIC = {
    b"\x89HDF": "HDF5",
    b"SQLite format 3\0": "an ASE database",
    b"- of Ulm": "an ASE trajectory",
    b"PK\x03\x04": "a spreadsheet or zip file",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "compressed",
    b"BZh": "compressed",
    b"\xfd7zXZ": "compressed",
}
_ENDINGS = {
    ".xyz": "XYZ",
    ".extxyz": "XYZ",
    ".sdf": "SDF",
    ".sd": "SDF",
    ".mol": "SDF",
    ".mdl": "SDF",
    ".mol2": "Mol2",
    ".pdb": "PDB",
    ".ent": "PDB",
    ".cif": "CIF",
    ".mmcif": "CIF",
    ".traj": "an ASE trajectory",
    ".db": "an ASE database",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".vasp": "VASP",
    ".poscar": "VASP",
    ".gro": "Gromacs",
    ".cube": "a cube file",
}
_CONTENT = (
    ("SDF", re.compile(r"^(?:.*\n){3}.{33,}V[23]000|^M  END\s*$", re.MULTILINE)),
    ("PDB", re.compile(r"^(?:ATOM  |HETATM|CRYST1 ).{20}", re.MULTILINE)),
    ("CIF", re.compile(r"^data_[\s\S]*^(?:loop_|_cell|_atom)", re.MULTILINE)),
    ("Mol2", re.compile(r"^@<TRIPOS>", re.MULTILINE)),
    (
        "XYZ",
        re.compile(r"\A\s*\d+[ \t]*\n.*\n[ \t]*[A-Z0-9]\w{0,2}(?:\s+-?\d*\.\d+){3}"),
    ),
    (
        "VASP",
        re.compile(
            r"\A.*\n\s*-?[\d.]+\s*\n(?:\s*-?\d+\.\d*(?:\s+-?\d+\.\d*){2}\s*\n){3}"
        ),
    ),
)


def kind_of(path: Path) -> str | None:
    """Name of the kind of a file of structures; None of other text.

    Args:
        path: File that is there.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    text = head.decode("latin-1").replace("\r\n", "\n")
    found = next((kind for kind, one in _CONTENT if one.search(text)), None)
    return found or _ENDINGS.get(path.suffix.lower())


def refuse_structures(path: Path) -> None:
    """Refuse a file of structures where SMILES are wanted.

    Raises:
        DataError: Naming what it is.
    """
    kind = kind_of(path)
    if kind is not None:
        raise DataError(
            f"{path}: {kind}, not SMILES; give a .smi or a table, or the SMILES "
            "themselves"
        )
