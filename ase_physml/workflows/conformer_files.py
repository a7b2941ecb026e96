"""Files of conformers: SDF, extended XYZ, or sets in HDF5."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import copyfileobj

from ase import Atoms
from rdkit import Chem

from ase_physml.chem.embed import with_hydrogens
from ase_physml.chem.stereo import placed
from ase_physml.data.conversion import from_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.files.xyz import write_xyz
from ase_physml.data.frame import Frame
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import RaggedWriter
from ase_physml.errors import DataError
from ase_physml.jobs.disk import atomic_write

KINDS = (".sdf", ".xyz", ".h5")

# What a conformer says of itself: key, name with its unit, format.
_PROPERTIES = (
    ("isomer", "isomer", "s"),
    ("relative_energy", "relative_energy_eV", ".6f"),
    ("boltzmann_weight", "boltzmann_weight", ".6f"),
    ("distance_error", "distance_error_A", ".4f"),
    ("rmsd", "rmsd_to_first_A", ".4f"),
    ("converged", "converged", ""),
)


def check_kind(path: Path) -> None:
    """Refuse a file whose name does not say what to write.

    Raises:
        DataError: Naming the endings that there are.
    """
    if path.suffix not in KINDS:
        raise DataError(f"{path}: name a file that ends in {', '.join(KINDS)}")


def write_conformers(path: Path, structures: Sequence[Atoms]) -> None:
    """Write conformers of any molecules; replaces the file when it is complete.

    Args:
        path: Its ending decides: SDF has bonds and properties, extended XYZ what
            ``info`` has, HDF5 energies, forces, names and SMILES.
        structures: As of `generate_conformers`, perhaps with ``info["name"]``.

    Raises:
        DataError: Another ending.
    """
    check_kind(path)
    if path.suffix == ".h5":
        _write_set(path, (from_atoms(atoms) for atoms in structures))
        return
    if path.suffix == ".xyz":
        write_xyz(path, structures)
        return
    with atomic_write(path) as partial, Chem.SDWriter(str(partial)) as writer:
        for atoms in structures:
            writer.write(_with_properties(atoms))


def join(parts: Sequence[Path], path: Path) -> None:
    """One file of several of its kind, in this order."""
    check_kind(path)
    if path.suffix == ".h5":
        _write_set(path, (frame for part in parts for frame in _frames(part)))
        return
    with atomic_write(path) as partial, partial.open("wb") as whole:
        for part in parts:
            with part.open("rb") as file:
                copyfileobj(file, whole)


def _frames(path: Path) -> Iterator[Frame]:
    frames = RaggedSet(path)
    for index in range(len(frames)):
        yield frames[index]


def _write_set(path: Path, frames: Iterator[Frame]) -> None:
    with RaggedWriter(path, Metadata(source="conformers from SMILES")) as writer:
        writer.extend(
            replace(frame, name=frame.name or frame.smiles) for frame in frames
        )


def _with_properties(atoms: Atoms) -> Chem.Mol:
    """The molecule of a structure, its bonds from the SMILES."""
    smiles = atoms.info["smiles"]
    molecule = placed(with_hydrogens(smiles), atoms.positions)
    molecule.SetProp("_Name", str(atoms.info.get("name", smiles)))
    molecule.SetProp("smiles", smiles)
    if atoms.calc is not None:
        molecule.SetProp("energy_eV", f"{atoms.get_potential_energy():.6f}")
    for key, name, form in _PROPERTIES:
        if key in atoms.info:
            molecule.SetProp(name, f"{atoms.info[key]:{form}}")
    return molecule
