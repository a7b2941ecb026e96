"""PDB files: every model, and what the file says that coordinates do not."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import ase.io
from ase import Atoms

from ase_physml.data.files.text import decode
from ase_physml.errors import DataError, StructureError

_ATOMS = ("ATOM", "HETATM")
_HEADER = ("CRYST1", "ORIGX1", "ORIGX2", "ORIGX3")
# Residues that always have hydrogens.
_RESIDUES = frozenset(
    re.findall(
        "[A-Z]+",
        "ALA ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR "
        "VAL A C G U DA DC DG DT HOH WAT",
    )
)


def read_pdb(path: Path) -> Iterator[Atoms | StructureError]:
    """Structure, or why there is none, of each model that has atoms.

    A cell holds for all models after it; one of 1 Å edges stands for none. Charges of
    atoms, columns 79 and 80, are initial charges.

    Raises:
        DataError: Not one atom.
    """
    found = 0
    for header, lines in _models(path):
        found += 1
        try:
            yield _structure(header, lines)
        except StructureError as error:
            yield StructureError(f"{path}: model {found}: {error}")
        except Exception as error:
            # ASE's readers raise whatever their parser stumbles on.
            yield StructureError(f"{path}: model {found} cannot be read ({error})")
    if not found:
        raise DataError(f"{path}: holds no structure")


def _models(path: Path) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Header and atoms of each."""
    header: dict[str, str] = {}
    atoms: list[str] = []
    with path.open("rb") as file:
        for line in map(decode, file):
            record = line[:6].strip()
            if record in _ATOMS:
                atoms.append(line)
            elif record in ("MODEL", "ENDMDL", "END") and atoms:
                yield dict(header), atoms
                atoms = []
            elif record in _HEADER:
                header[record] = line
    if atoms:
        yield dict(header), atoms


def _structure(header: dict[str, str], lines: list[str]) -> Atoms:
    if len({line[16:17] for line in lines} - {" ", ""}) > 1:
        raise StructureError(
            "atoms have alternate locations (column 17); keep one of each"
        )
    if _is_placeholder(header.get("CRYST1", "")):
        del header["CRYST1"]
    text = "".join(line.rstrip("\r\n") + "\n" for line in (*header.values(), *lines))
    atoms = ase.io.read(io.StringIO(text), format="proteindatabank")
    assert isinstance(atoms, Atoms)
    _check_hydrogens(atoms, lines)
    charges = [_charge(line) for line in lines]
    if any(charges):
        atoms.set_initial_charges(charges)
    return atoms


def _is_placeholder(cell: str) -> bool:
    return bool(cell) and [float(cell[k : k + 9]) for k in (6, 15, 24)] == [1.0] * 3


def _check_hydrogens(atoms: Atoms, lines: list[str]) -> None:
    known = {line[17:20].strip() for line in lines} & _RESIDUES
    if known and not (atoms.numbers == 1).any():
        raise StructureError(
            f"residues ({', '.join(sorted(known)[:3])}) without a hydrogen; add them "
            "(`obabel -h`, PDBFixer, reduce)"
        )


def _charge(line: str) -> int:
    """Charge of an atom, written as 2+ or 1-; some write the sign first."""
    text = line[78:80].strip()
    digits = text.strip("+-")
    if not digits.isdigit() or len(text) != 2:
        return 0
    return -int(digits) if "-" in text else int(digits)
