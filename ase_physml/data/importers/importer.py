"""Importer of a format, and the file it has opened."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import ClassVar

from ase_physml.data.frame import Frame
from ase_physml.data.metadata import Metadata
from ase_physml.errors import DataError


@dataclass(frozen=True)
class Options:
    """Choices that some formats leave open; each importer names those it knows.

    Attributes:
        energy: QM9: "U0-ZPVE" (the electronic energy, the surface that a calculator
            describes) or "U0" (what the literature reports errors of). OC20 S2EF:
            "adsorption" (less the reference energies) or "total".
        exclude: QM9: file of identifiers to leave out, one at the start of a line.
        part: Transition1x: "data" (everything), "train", "val" or "test". OC20 LMDB:
            "relaxed" or "initial" structures, with their energies.
        stationary: Transition1x: reactants, transition states and products instead
            of the frames of the paths (which contain them).
        per_reaction: Transition1x: so many frames of each reaction, drawn at random.
        energy_unit: Unit of energies, for formats that do not fix it; eV if None.
        forces_unit: Unit of forces; ``energy_unit`` per Å if None.
        energy_key: Key of the energies, if not the usual one.
        forces_key: Key of the forces; "" for none.
        trust: LMDB: run whatever code its pickles name.
    """

    energy: str | None = None
    exclude: Path | None = None
    part: str | None = None
    stationary: bool = False
    per_reaction: int | None = None
    energy_unit: str | None = None
    forces_unit: str | None = None
    energy_key: str | None = None
    forces_key: str | None = None
    trust: bool = False

    def given(self) -> set[str]:
        """Names of those that are not at their default."""
        return {f.name for f in fields(self) if getattr(self, f.name) != f.default}


@dataclass
class Notes:
    """Counts of a reader, besides its frames.

    Attributes:
        left_out: Number of frames that cannot be stored, by the reason.
        labels: Number of frames that have energies or forces, by their key.
    """

    left_out: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)


class Importer(ABC):
    """Reader of one format; `ase_physml.data.importers` says how to add one.

    Attributes:
        name: Name for ``--format``.
        options: Fields of `Options` that mean something to it; others are refused.
    """

    name: ClassVar[str]
    options: ClassVar[frozenset[str]] = frozenset()

    def recognises(self, path: Path) -> bool:
        """True if a file is of this format, by a look at it.

        One that never says so is asked for by its name.
        """
        return False

    @abstractmethod
    def metadata(self, path: Path, options: Options) -> Metadata:
        """Level of theory, kind of energy and origin, as the format states them."""

    def count(self, path: Path, options: Options) -> int | None:
        """Number of frames, None if only reading everything would tell."""
        return None

    @abstractmethod
    def read(self, path: Path, options: Options, notes: Notes) -> Iterator[Frame]:
        """Stream the frames, in eV and Å, one at a time.

        Args:
            path: File to read.
            options: Choices of the user.
            notes: Counters of what is left out.
        """


class Source:
    """Opened file of any format: iterate over it, as often as needed, for frames.

    Frames that cannot be stored are left out and counted.

    Args:
        path: File to read.
        importer: Importer of its format.
        options: Choices that the format leaves open.

    Attributes:
        metadata: Metadata as the format states them.
        notes: Counts of the iteration under way or last finished.

    Raises:
        DataError: The format has no such option.
    """

    def __init__(self, path: Path, importer: Importer, options: Options) -> None:
        wrong = options.given() - importer.options
        if wrong:
            flag = sorted(wrong)[0].replace("_", "-")
            raise DataError(f"{path}: format {importer.name!r} has no option --{flag}")
        self.path = path
        self.importer = importer
        self.options = options
        self.notes = Notes()
        self.metadata = importer.metadata(path, options)

    def count(self) -> int | None:
        """Number of frames the file holds, None if unknown before reading."""
        try:
            return self.importer.count(self.path, self.options)
        except Exception:
            # Reading will say what is wrong, at the place where it is.
            return None

    def __iter__(self) -> Iterator[Frame]:
        self.notes = Notes()
        frames = self.importer.read(self.path, self.options, self.notes)
        seen = 0
        while True:
            try:
                frame = next(frames)
            except StopIteration:
                return
            except DataError:
                raise
            except Exception as error:
                # Parsers raise whatever they stumble on.
                raise DataError(
                    f"{self.path}: cannot be read as {self.importer.name!r} after "
                    f"{seen} frames ({type(error).__name__}: {error}); it is damaged, "
                    "truncated, or of another --format"
                ) from error
            seen += 1
            problem = frame.problem()
            if problem is None:
                yield frame
            else:
                self.notes.left_out[problem] += 1
