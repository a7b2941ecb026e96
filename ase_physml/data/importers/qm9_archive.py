"""Raw archive of QM9, ``dsgdb9nsd.xyz.tar.bz2`` (Ramakrishnan et al. 2014).

Each member holds: number of atoms; identifier and 15 properties; atoms with Mulliken
charges; frequencies; SMILES of GDB and of the relaxed geometry; InChI. Energies are in
Hartree, and numbers may be written as ``1.0*^-5``. A set of frames has place for one
energy; `properties` has the twelve that models of properties are compared by.
"""

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers
from ase.units import Bohr, Debye, Hartree, kcal, mol

from ase_physml.data.frame import Array, Frame
from ase_physml.data.importers.importer import Importer, Notes, Options
from ase_physml.data.metadata import Metadata
from ase_physml.errors import DataError

_KINDS = {
    "U0-ZPVE": "total electronic energy (U0 minus ZPVE)",
    "U0": "internal energy at 0 K (U0)",
}
# Columns after "gdb N": A B C mu alpha homo lumo gap r2 zpve U0 U H G Cv.
_ZPVE, _U0, _PROPERTIES = 9, 10, 15
_CV = kcal / mol / 1000  # cal/(mol K)
_TARGETS = {
    "mu (e Å)": Debye, "alpha (Å^3)": Bohr**3, "homo (eV)": Hartree,
    "lumo (eV)": Hartree, "gap (eV)": Hartree, "r2 (Å^2)": Bohr**2,
    "zpve (eV)": Hartree, "u0 (eV)": Hartree, "u298 (eV)": Hartree,
    "h298 (eV)": Hartree, "g298 (eV)": Hartree, "cv (eV/K)": _CV,
}  # fmt: skip
TARGETS = tuple(_TARGETS)
"""Names and units of the properties of a molecule."""

# Followed by a SMILES or nothing, not by a word: no SMILES is four lower-case letters.
_LISTED = re.compile(r"\s*(?:dsgdb9nsd_)?(\d+)(?!\S)(?!\s+[a-z]{4,}(?![^\s,.]))")
_MEMBER = re.compile(r"dsgdb9nsd_(\d+)\.xyz$")


class QM9Archive(Importer):
    """Importer of all molecules, without unpacking to disk."""

    name = "qm9"
    options = frozenset({"energy", "exclude"})

    def recognises(self, path: Path) -> bool:
        """True if it is a tar archive."""
        return tarfile.is_tarfile(path)

    def metadata(self, path: Path, options: Options) -> Metadata:
        """Level of theory as published, and the energy that was chosen."""
        return Metadata(
            level_of_theory="B3LYP/6-31G(2df,p)",
            energy_kind=_KINDS[_energy(options)],
            equilibrium=True,
            source="QM9 (Ramakrishnan et al. 2014, doi 10.1038/sdata.2014.22)",
        )

    def read(self, path: Path, options: Options, notes: Notes) -> Iterator[Frame]:
        """Stream the members without unpacking them to disk."""
        electronic = _energy(options) == "U0-ZPVE"
        excluded = read_excluded(options.exclude) if options.exclude else frozenset()
        for number, name, text in _members(path):
            if number in excluded:
                notes.left_out[f"listed in {options.exclude}"] += 1
            else:
                yield parse(text, name, electronic)


def read_properties(path: Path) -> Iterator[tuple[Frame, Array]]:
    """Frames of an archive, each with its `properties`; errors as of `parse`."""
    for _, name, text in _members(path):
        yield parse(text, name, electronic=True), properties(text)


def _members(path: Path) -> Iterator[tuple[int, str, str]]:
    """Number, name and content of each molecule.

    Raises:
        DataError: There is none.
    """
    found = False
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            match = _MEMBER.search(member.name)
            content = archive.extractfile(member) if match else None
            if match is None or content is None:
                continue
            found = True
            name = member.name.rpartition("/")[2].removesuffix(".xyz")
            yield int(match[1]), name, content.read().decode()
    if not found:
        raise DataError(
            f"{path}: no member is named dsgdb9nsd_NNNNNN.xyz; this is not the "
            "raw QM9 archive (dsgdb9nsd.xyz.tar.bz2)"
        )


def properties(text: str) -> Array:
    """Properties `TARGETS` of a member that `parse` accepts, float64 (12,)."""
    values = text.splitlines()[1].replace("*^", "e").split()[-len(TARGETS) :]
    scaled: Array = np.array(values, dtype=np.float64) * [*_TARGETS.values()]
    return scaled


def parse(text: str, name: str, electronic: bool) -> Frame:
    """Frame of one member of the archive.

    Args:
        text: Content of the member.
        name: Name for the frame, and for errors.
        electronic: Take the zero-point energy off U0.

    Raises:
        DataError: The text is not in the format.
    """
    lines = text.replace("*^", "e").splitlines()
    try:
        n = int(lines[0])
        properties = [float(value) for value in lines[1].split()[2:]]
        rows = [line.split() for line in lines[2 : 2 + n]]
        numbers = np.array([atomic_numbers[row[0]] for row in rows], dtype=np.uint8)
        positions = np.array([[float(v) for v in row[1:4]] for row in rows])
        # The second is of the relaxed geometry, the one stored here.
        smiles = text.splitlines()[n + 3].split()[-1]
    except (ValueError, IndexError, KeyError) as error:
        raise DataError(f"{name}: not a QM9 record ({error})") from error
    if len(properties) != _PROPERTIES or len(rows) != n:
        raise DataError(f"{name}: not a QM9 record (properties or atoms are missing)")
    energy = properties[_U0] - (properties[_ZPVE] if electronic else 0.0)
    return Frame(
        numbers=numbers,
        positions=positions,
        energy=energy * Hartree,
        name=name,
        smiles=smiles,
    )


def read_excluded(path: Path) -> frozenset[int]:
    """Identifiers at the start of lines, as in the published ``uncharacterized.txt``.

    Prose around the table ("3054 molecules ...") is skipped; ``dsgdb9nsd_000021``
    counts as 21.

    Raises:
        DataError: Unreadable, or without any identifier.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    found = frozenset(int(m[1]) for line in lines if (m := _LISTED.match(line)))
    if not found:
        raise DataError(f"{path}: no line starts with an identifier such as 21")
    return found


def _energy(options: Options) -> str:
    energy = options.energy or "U0-ZPVE"
    if energy not in _KINDS:
        raise DataError(f"--energy {energy!r} is not one of {', '.join(_KINDS)}")
    return energy
