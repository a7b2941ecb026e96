"""Conformers under way: structures of a molecule, and their relaxation."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator
from rdkit import Chem

from ase_physml.chem.atoms import to_atoms
from ase_physml.chem.embed import Target, vary
from ase_physml.chem.etkdg import MAX_ATOMS, TIMEOUT, Clock
from ase_physml.chem.stereo import keeps_bonds, keeps_stereo
from ase_physml.data.frame import Array
from ase_physml.errors import PhysMLError, StructureError
from ase_physml.workflows.conformer_choice import RMSD
from ase_physml.workflows.relax import Relaxed, check_settings
from ase_physml.workflows.relax_many import relax_many

ROOM_TEMPERATURE = 298.15
# Tried where every conformer changed in the relaxation.
_SPARES = 3


@dataclass(frozen=True)
class Settings:
    """How conformers are made.

    Attributes:
        n: Conformers of a molecule, at most.
        seed: Of the embeddings.
        threshold: Conformers nearer than this (`RMSD`, Å) are one, after a relaxation
            only if their energies agree.
        temperature: Of the Boltzmann weights, K.
        fmax: Largest force left by a relaxation, eV/Å.
        steps: Of a relaxation, at most.
        batch_size: Structures relaxed at a time.
        max_atoms: Without hydrogens, that a molecule may have.
        timeout: Of the embeddings of a molecule, s.
    """

    n: int = 10
    seed: int = 0
    threshold: float = 0.2
    temperature: float = ROOM_TEMPERATURE
    fmax: float = 0.03
    steps: int = 300
    batch_size: int = 256
    max_atoms: int = MAX_ATOMS
    timeout: float = TIMEOUT

    def __post_init__(self) -> None:
        for name in ("n", "threshold", "temperature", "max_atoms", "timeout"):
            if not getattr(self, name) > 0:
                raise StructureError(
                    f"{name} must be above 0, got {getattr(self, name)}"
                )
        check_settings("BFGS", self.fmax, self.steps)
        if self.seed < 0:
            raise StructureError(f"seed must be 0 or more, got {self.seed}")


@dataclass
class Ensemble:
    """A molecule under way.

    Attributes:
        smiles: As given.
        target: Its molecule and what is predicted of it.
        rmsd: Between its geometries.
        geometries: To start from, Å (n, 3) each, the predicted one first.
        note: What should be known about them, "" if nothing.
        structures: Made of these, relaxed in the end.
        dropped: Why some are left out.
        changed: One became another molecule as it relaxed.
    """

    smiles: str
    target: Target
    rmsd: RMSD
    geometries: list[Array]
    note: str = ""
    structures: list[Atoms] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    changed: bool = False


def relax_ensembles(
    ensembles: Sequence[Ensemble], calculator: Calculator, settings: Settings
) -> None:
    """Relax the structures of all together, in place; the best come first.

    Those that fail, or become another molecule, are dropped.
    """
    _relax(ensembles, calculator, settings)
    _relax_spares(ensembles, calculator, settings)


def _relax(
    ensembles: Sequence[Ensemble], calculator: Calculator, settings: Settings
) -> None:
    """Relax the structures of all; those that fail or change are dropped."""
    outcomes = iter(
        relax_many(
            [atoms for one in ensembles for atoms in one.structures],
            calculator,
            fmax=settings.fmax,
            steps=settings.steps,
            batch_size=settings.batch_size,
        )
    )
    for one in ensembles:
        relaxed = []
        for start in one.structures:
            outcome = next(outcomes)
            reason = _problem(one.target.molecule, outcome)
            if isinstance(outcome, Relaxed) and not reason:
                relaxed.append(labelled(start, outcome))
            else:
                one.dropped.append(reason)
                one.changed |= isinstance(outcome, Relaxed)
        one.structures = sorted(relaxed, key=lambda atoms: atoms.get_potential_energy())


def _relax_spares(
    ensembles: Sequence[Ensemble], calculator: Calculator, settings: Settings
) -> None:
    """Start again, without the prediction's torsions, where no conformer is left.

    A wrong prediction can bend a cage so far that it relaxes to another molecule.
    """
    lost = [one for one in ensembles if one.changed and not one.structures]
    for one in lost:
        spares = vary(one.target, _SPARES, settings.seed + 1, Clock(settings.timeout))
        one.structures = [as_atoms(one, geometry) for geometry in spares]
    _relax(lost, calculator, settings)


def _problem(molecule: Chem.Mol, outcome: Relaxed | Exception) -> str:
    """Why a relaxation gave no conformer of the molecule; "" if it did."""
    if isinstance(outcome, PhysMLError):
        return str(outcome)
    if isinstance(outcome, Exception):
        return f"{type(outcome).__name__}: {outcome}"
    if not keeps_bonds(molecule, outcome.atoms.positions):
        return "a conformer broke a bond in the relaxation and is left out"
    if not keeps_stereo(molecule, outcome.atoms.positions):
        return (
            "a conformer changed its stereochemistry in the relaxation and is left out"
        )
    return ""


def as_atoms(one: Ensemble, positions: Array) -> Atoms:
    """A structure of a molecule, which says what it is; see `to_atoms`."""
    atoms = to_atoms(one.target.molecule, positions)
    atoms.info["smiles"] = one.smiles
    atoms.info["isomer"] = Chem.MolToSmiles(Chem.RemoveHs(one.target.molecule))
    return atoms


def labelled(start: Atoms, outcome: Relaxed) -> Atoms:
    """The relaxed structure, with its energy and forces but without a calculator."""
    atoms: Atoms = start.copy()
    atoms.positions = outcome.atoms.positions
    atoms.info["converged"] = outcome.converged
    atoms.calc = SinglePointCalculator(
        atoms, energy=outcome.energies[-1], forces=outcome.atoms.get_forces()
    )
    return atoms
