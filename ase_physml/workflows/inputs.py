"""Structures from what people type: SMILES strings and files."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from ase import Atoms

from ase_physml.chem.embed import MAX_ATOMS, check_size
from ase_physml.chem.initial_geometry import initial_geometry
from ase_physml.chem.smiles import parse_smiles, shown, structure_of
from ase_physml.data.files.smiles_file import is_smiles_file, read_smiles
from ase_physml.data.files.structure_file import read_structure_file
from ase_physml.errors import DataError, PhysMLError, StructureError

_Build = Callable[[str], Atoms | PhysMLError]


def from_smiles(smiles: str, seed: int = 0, max_atoms: int = MAX_ATOMS) -> Atoms:
    """One 3-D structure with hydrogens: RDKit ETKDGv3, then MMFF94 where it applies.

    Isotopes have their masses.

    Args:
        smiles: SMILES of one neutral closed-shell molecule.
        seed: Seed of the embedding.
        max_atoms: Largest number of atoms without hydrogens.

    Raises:
        StructureError: Not a SMILES, several fragments, a charge, a radical, a
            stereoisomer that cannot exist, or no embedding found in time.
    """
    from rdkit import Chem

    try:
        mol = parse_smiles(smiles)
    except DataError as error:
        raise StructureError(str(error)) from error
    if mol is None or mol.GetNumAtoms() == 0:
        raise StructureError(f"{shown(smiles)} is neither a file nor a valid SMILES")
    if len(Chem.GetMolFrags(mol)) > 1:
        raise StructureError(f"{smiles}: several molecules; give them one by one")
    if any(atom.GetAtomicNum() == 0 for atom in mol.GetAtoms()):
        raise StructureError(f"{smiles}: a dummy atom; give a molecule of elements")
    charge = Chem.GetFormalCharge(mol)
    if charge:
        raise StructureError(
            f"{smiles}: total charge {charge:+d}; give the neutral molecule"
        )
    if any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
        raise StructureError(f"{smiles}: a radical; give a closed-shell molecule")
    try:
        check_size(mol.GetNumHeavyAtoms(), max_atoms)
        mol = Chem.AddHs(mol)
        positions = initial_geometry(mol, seed)
    except DataError as error:
        raise StructureError(f"{smiles}: {error}") from error
    atoms = structure_of(mol, positions)
    atoms.info["smiles"] = smiles
    return atoms


def read_inputs(
    inputs: Iterable[str],
    seed: int = 0,
    column: str | None = None,
    max_atoms: int = MAX_ATOMS,
) -> Iterator[tuple[str, Atoms | PhysMLError]]:
    """A unique file-safe name and a structure, or its error, for each input.

    Args:
        inputs: SMILES, files of them (.smi, or tables), or files of structures; every
            line and every frame counts.
        seed: Seed of structures from SMILES.
        column: Column of the SMILES in tables.
        max_atoms: Largest number of atoms without hydrogens, of SMILES.
    """
    build = partial(_try_smiles, seed=seed, max_atoms=max_atoms)
    used: set[str] = set()
    for text in inputs:
        path = Path(text)
        if path.is_file():
            found = list(_of_file(path, build, column))
        else:
            found = [(file_safe(text), build(text))]
        for name, atoms in found:
            unique, number = name, 2
            # c1ccccc1 and C1CCCCC1 are one name where file systems ignore case.
            while unique.casefold() in used:
                unique, number = f"{name}-{number}", number + 1
            used.add(unique.casefold())
            yield unique, atoms


def read_structures(file: Path) -> list[Atoms]:
    """All structures of one file.

    Raises:
        StructureError: No such file, or a structure that cannot be used.
    """
    if not file.is_file():
        raise StructureError(f"{file}: no such file")
    found = []
    for _, atoms in read_inputs([str(file)]):
        if isinstance(atoms, Exception):
            raise atoms
        found.append(atoms)
    return found


def _try_smiles(text: str, seed: int, max_atoms: int) -> Atoms | PhysMLError:
    try:
        return from_smiles(text, seed, max_atoms)
    except PhysMLError as error:
        return error


def _of_file(
    path: Path, build: _Build, column: str | None
) -> Iterator[tuple[str, Atoms | PhysMLError]]:
    return _lines(path, build, column) if is_smiles_file(path) else _frames(path)


def _lines(
    path: Path, build: _Build, column: str | None
) -> Iterator[tuple[str, Atoms | PhysMLError]]:
    try:
        rows = read_smiles(path, column).rows
    except DataError as error:
        yield path.stem, error
        return
    for row in rows:
        where = f"{path}, line {row.line}"
        if row.problem:
            found: Atoms | PhysMLError = StructureError(row.problem)
        else:
            found = build(row.smiles)
        if isinstance(found, Exception):
            found = StructureError(f"{where}: {found}")
        elif row.name:
            found.info["name"] = row.name
        yield file_safe(row.name or row.smiles), found


def _frames(path: Path) -> Iterator[tuple[str, Atoms | PhysMLError]]:
    frames: list[Atoms | PhysMLError] = []
    try:
        frames.extend(read_structure_file(path))
    except DataError as error:
        # Those before the damage are good.
        frames.append(StructureError(str(error)))
    width = len(str(len(frames) - 1))
    for i, atoms in enumerate(frames):
        yield (path.stem if len(frames) == 1 else f"{path.stem}-{i:0{width}d}"), atoms


def file_safe(text: str) -> str:
    """Name of a file that says what the text says."""
    return re.sub(r"[^A-Za-z0-9._+=()\[\]-]", "_", text).strip(".")[:80] or "molecule"
