"""Warnings, each said once, of uses that a potential is not fit for."""

import inspect
import warnings

VIBRATIONS = "vibrations"
"""In the card of a potential, under ``not_for``: second derivatives of its energy."""

_SECOND_DERIVATIVES = ("ase.vibrations", "ase.phonons")


class Advice:
    """Warnings of one calculator and its copies, each of them said once.

    Args:
        name: Name of the potential.
        not_for: Uses that its card says it is not fit for.
    """

    def __init__(self, name: str, not_for: tuple[str, ...] = ()) -> None:
        self.name = name
        self._open = {"parts", "distances", *not_for}

    @property
    def of_parts(self) -> bool:
        """Nothing has been said of separate parts yet."""
        return "parts" in self._open

    @property
    def of_distances(self) -> bool:
        """Nothing has been said of distances yet."""
        return "distances" in self._open

    def warn_of_distances(self, what: str, instead: str) -> None:
        """Say that a structure is farther from the training than its potential knows.

        Args:
            what: Sentence on the atoms.
            instead: What would serve.
        """
        self._say(
            "distances",
            f"{self.name}: {what}. Energies and forces there are guesses; use "
            f"{instead}, or relax the structure first",
        )

    def warn_of_parts(self, i: int, j: int, cutoff: float, reach: float | None) -> None:
        """Say that a structure has parts whose interaction means nothing.

        Args:
            i: An atom of one part.
            j: An atom of another, or an image of it.
            cutoff: Å, which parts it.
            reach: Å, up to which they interact all the same; None for any distance.
        """
        far = "at any distance" if reach is None else f"up to {reach:g} Å"
        self._say(
            "parts",
            f"{self.name}: atoms {i} and {j} are in parts of the structure (or images "
            f"in the cell) that are more than {cutoff:g} Å from each other. Such parts "
            f"interact {far}, by an energy that is unphysical (two benzenes attract by "
            "0.4 eV): compute each part on its own and add up their energies",
        )

    def warn_of_vibrations(self, *, asked: bool = False) -> None:
        """Say that vibrations are badly off, if ASE is about to compute some.

        ASE's `Vibrations`, `Infrared`, `Phonons` and whatever is derived from them tell
        a calculator nothing: they ask for forces of displaced structures, as a check of
        forces by finite differences does. Who asks is read off the call stack, which
        tells both apart and misses only displacements that are computed by hand.

        Args:
            asked: Whether the caller is, so that nobody need be looked for.
        """
        if VIBRATIONS not in self._open:
            return
        if not asked and not _called_from(_SECOND_DERIVATIVES):
            return
        self._say(
            VIBRATIONS,
            f"{self.name} is not for vibrations: it has not learned how stiff bonds "
            "are, and frequencies may be off by hundreds of cm-1 or imaginary; use "
            "another method, such as tblite:GFN2-xTB, for them",
        )

    def _say(self, about: str, text: str) -> None:
        self._open.discard(about)
        warnings.warn(text, stacklevel=3)


def _called_from(modules: tuple[str, ...]) -> bool:
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(modules):
            return True
        frame = frame.f_back
    return False
