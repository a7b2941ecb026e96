"""Candidates of an evaluation: calculators, and molecules to try them on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from ase_physml.calculators.names import make_calculator
from ase_physml.calculators.physml import PhysMLCalculator
from ase_physml.data.conversion import to_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.errors import PhysMLError
from ase_physml.jobs.identity import Identity
from ase_physml.workflows.inputs import from_smiles
from ase_physml.workflows.relax import Relaxed, relax

_LIST = Path(__file__).with_name("molecules.smi")

# Textbook rearrangements with GFN2-xTB labels, of make_known_reactions.py.
REACTIONS = Path(__file__).with_name("reactions.h5")


@dataclass(frozen=True)
class Molecule:
    """A molecule to try a calculator on.

    Attributes:
        name: Unique name.
        atoms: Structure without a calculator.
        minimum: Whether it is the minimum that relaxations shall come back to; else
            that is the calculator's own minimum near it.
    """

    name: str
    atoms: Atoms
    minimum: bool = False


def listed(count: int) -> list[Molecule]:
    """Molecules that come with the package, from RDKit and MMFF94.

    Args:
        count: Number of molecules, spread over the list.
    """
    lines = [line.split(maxsplit=1) for line in _LIST.read_text().splitlines()]
    chosen = np.unique(
        np.linspace(0, len(lines) - 1, min(count, len(lines))).astype(int)
    )
    return [Molecule(lines[i][1], from_smiles(lines[i][0])) for i in chosen]


def from_set(
    path: Path, count: int, frames: Sequence[int] | None = None
) -> list[Molecule]:
    """Molecules of a set, drawn at random with a fixed seed.

    Args:
        path: HDF5 file.
        count: Number of molecules.
        frames: Indices of frames to draw from; all by default.

    Raises:
        DataError: The file cannot be read.
    """
    data = RaggedSet(path)
    pool = np.arange(len(data)) if frames is None else np.asarray(frames)
    drawn = np.random.default_rng(0).choice(pool, min(count, len(pool)), replace=False)
    known = bool(data.metadata.equilibrium)
    molecules: dict[str, Molecule] = {}
    for index, frame in zip(np.sort(drawn), data.read(np.sort(drawn)), strict=True):
        name = frame.name or f"frame {index}"
        if name in molecules:
            name = f"{name} (frame {index})"
        molecules[name] = Molecule(name, to_atoms(frame, labels=False), known)
    return list(molecules.values())


@dataclass
class Candidate:
    """A calculator under test.

    In a process that gets it from another, the calculators are built anew, by name.

    Attributes:
        name: Name as the user typed it.
        calculator: Calculator of ASE.
        molecules: Molecules to try it on.
        reactions: Set of reactions; those that come with the package by default.
        reference: Calculator that labels their structures, or None.
        held_to: Name of that one, or "".
        count: Largest number of reactions.
        seed: Seed of all displacements.
        settings: Identity of its results; those of others are not mixed in.
    """

    name: str
    calculator: Calculator
    molecules: list[Molecule]
    reactions: Path = REACTIONS
    reference: Calculator | None = None
    held_to: str = ""
    count: int = 100
    seed: int = 0
    settings: Identity = field(default_factory=lambda: Identity({"kind": "evaluate"}))
    _minima: dict[str, Relaxed | Exception] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        # Calculators of other packages do not travel; their names do.
        return {**self.__dict__, "calculator": None, "reference": None, "_minima": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.calculator = make_calculator(self.name)
        if self.held_to:
            self.reference = make_calculator(self.held_to)

    def knows(self, numbers: Iterable[int]) -> bool:
        """Whether the calculator has learned these elements, as far as it says.

        Potentials say it on their card, other calculators by an attribute ``elements``.

        Args:
            numbers: Atomic numbers.
        """
        calculator = self.calculator
        known = getattr(calculator, "elements", None)
        if isinstance(calculator, PhysMLCalculator):
            known = calculator.model.config.elements
        return known is None or set(map(int, numbers)) <= set(map(int, known))

    def random(self, *about: object) -> np.random.Generator:
        """Random numbers of one case, the same whichever others were run before."""
        digits = [ord(letter) for letter in "/".join(map(str, about))]
        return np.random.default_rng([self.seed, *digits])

    def relax(self, atoms: Atoms, fmax: float = 0.01, steps: int = 500) -> Relaxed:
        """Relax a copy by BFGS with the calculator."""
        return relax(atoms, self.calculator, fmax=fmax, steps=steps)

    def own_minimum(self, molecule: Molecule) -> Relaxed:
        """The calculator's own minimum of a molecule; computed once.

        Raises:
            PhysMLError: It has none there: the relaxation failed or did not converge.
        """
        if molecule.name not in self._minima:
            try:
                self._minima[molecule.name] = self.relax(molecule.atoms)
            except Exception as error:
                self._minima[molecule.name] = error
        found = self._minima[molecule.name]
        if isinstance(found, Exception):
            raise found
        if not found.converged:
            raise PhysMLError(
                f"no minimum found: the largest force after {found.steps} steps is "
                f"{found.fmax_history[-1]:.2f} eV/Å"
            )
        return found
