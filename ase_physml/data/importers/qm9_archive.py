"""The raw QM9 archive, ``dsgdb9nsd.xyz.tar.bz2`` (Ramakrishnan et al. 2014).

Each member holds: number of atoms; identifier and 15 properties; atoms with Mulliken
charges; frequencies; SMILES; InChI. Numbers may be written as ``1.0*^-5``.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase import units
from ase.data import atomic_numbers

from ase_physml.data.frame import Frame
from ase_physml.data.ragged import Metadata
from ase_physml.errors import DataError

if TYPE_CHECKING:
    from ase_physml.data.importers import Options, Source

# Columns after "gdb N": A B C mu alpha homo lumo gap r2 zpve U0 U H G Cv.
_ZPVE, _U0 = 9, 10


def open_file(path: Path, options: "Options") -> "Source":
    """Stream the archive; zero-point energies are taken off for ``U0-ZPVE``.

    Raises:
        DataError: Not a tar archive, a damaged member, or an unknown energy.
    """
    from ase_physml.data.importers import Source

    if options.qm9_energy not in ("U0", "U0-ZPVE"):
        raise DataError(
            f"QM9 energy {options.qm9_energy!r} is neither 'U0' nor 'U0-ZPVE'"
        )
    electronic = options.qm9_energy == "U0-ZPVE"
    kind = "total electronic energy (U0 minus ZPVE)" if electronic else "U0"
    metadata = Metadata(
        level_of_theory="B3LYP/6-31G(2df,p)",
        energy_kind=kind,
        equilibrium=True,
        source="QM9 (Ramakrishnan et al. 2014, doi 10.1038/sdata.2014.22)",
    )
    excluded: set[str] = set()
    if options.exclude is not None:
        excluded = set(options.exclude.read_text().split())
    source = Source(iter(()), metadata)

    def frames() -> Iterator[Frame]:
        try:
            with tarfile.open(path) as archive:
                for member in archive:
                    content = archive.extractfile(member)
                    if content is None or not member.name.endswith(".xyz"):
                        continue
                    name = Path(member.name).stem
                    if name in excluded or str(int(name.split("_")[-1])) in excluded:
                        source.note("excluded")
                        continue
                    yield parse(content.read().decode(), name, electronic)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise DataError(
                f"{path}: not a tar archive, or truncated ({error}); get it again"
            ) from error

    source.frames = frames()
    return source


def parse(text: str, name: str, electronic: bool) -> Frame:
    """One member of the archive.

    Args:
        text: Its content.
        name: For the frame, and for errors.
        electronic: Take the zero-point energy off U0.

    Raises:
        DataError: The text is not in the format.
    """
    lines = text.replace("*^", "e").splitlines()
    try:
        n = int(lines[0])
        properties = lines[1].split()[2:]
        energy = float(properties[_U0]) - electronic * float(properties[_ZPVE])
        rows = [line.split() for line in lines[2 : 2 + n]]
        numbers = np.array([atomic_numbers[row[0]] for row in rows], dtype=np.uint8)
        positions = np.array([[float(v) for v in row[1:4]] for row in rows])
        smiles = lines[n + 3].split()[-1]
    except (ValueError, IndexError, KeyError) as error:
        raise DataError(f"{name}: not a QM9 record ({error})") from error
    return Frame(
        numbers=numbers,
        positions=positions,
        energy=energy * units.Hartree,
        name=name,
        smiles=smiles,
    )
