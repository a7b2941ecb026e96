"""Ends of mapped reactions: conformers, relaxed, and the pair that is closest.

Geometries of one side that lie close to the other are grown out of it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from rdkit import Chem, DistanceGeometry
from rdkit.Chem import rdForceFieldHelpers
from rdkit.rdBase import BlockLogs
from scipy.spatial.distance import cdist

from ase_physml.chem.atom_mapping import MappedReaction
from ase_physml.chem.bonds import forms_no_bonds, keeps_bonds
from ase_physml.chem.embed import TimeLimit, distance_bounds, embed, etkdg_parameters
from ase_physml.chem.smiles import with_positions
from ase_physml.chem.stereo import keeps_stereo
from ase_physml.data.frame import Array
from ase_physml.errors import PhysMLError, StructureError
from ase_physml.workflows.alignment import rmsd, shifts, superpose
from ase_physml.workflows.conformers.embedding import ConformerSettings
from ase_physml.workflows.conformers.generate import conformers_of, labelled
from ase_physml.workflows.relax_many import relax_many

# Turns of aligning and of matching hydrogens, at most.
_ROUNDS = 10
# Steps of UFF at most.
_PULLED = 1000
# How far distances may be from what they were, tried in this order, Å.
_TOLERANCES = (0.1, 0.3, 1.0)
# Embeddings among which the closest is chosen.
_CANDIDATES = 5
# How far atoms that will be joined may be from each other where molecules meet, Å.
_MEETING = 3.5
_MIRROR = np.array([1.0, 1.0, -1.0])

Align = Callable[[Atoms, Atoms], Atoms]
"""Function from reactant and product to a product whose atoms are those of the
reactant, turned and shifted onto it."""


@dataclass
class Ends:
    """Structures of the two sides of a reaction.

    Attributes:
        reactants: Structures of all atoms in one order, lowest in energy first.
        products: Structures of the same atoms in the same order.
    """

    reactants: list[Atoms] = field(default_factory=list)
    products: list[Atoms] = field(default_factory=list)


@dataclass
class _Side:
    """One side of a reaction under way."""

    reaction: MappedReaction  # from this side to the other
    relaxed: list[Atoms] = field(default_factory=list)
    starts: list[Array] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    @property
    def molecule(self) -> Chem.Mol:
        return self.reaction.reactant

    @property
    def is_single(self) -> bool:
        return len(Chem.GetMolFrags(self.molecule)) == 1


def ends_of(
    reactions: Sequence[MappedReaction],
    calculator: Calculator,
    model: str,
    settings: ConformerSettings,
) -> list[Ends | PhysMLError]:
    """Relaxed structures of both sides of reactions, all of them in batches.

    Single molecules have the conformers of `conformers_of`; several are laid next to
    each other, the atoms that react face to face. Out of each structure one of the
    other side is grown, see `grow`: pairs that lie as close as they can. What has other
    bonds or another stereochemistry after its relaxation is left out.

    Args:
        reactions: Mapped reactions, of `read_reaction`.
        calculator: Calculator that relaxes.
        model: Model of conformations, shipped name or path.
        settings: Settings of the conformers; ``n`` of each side, and as many are grown.

    Returns:
        For each reaction its structures, or why a side has none.
    """
    pairs = [(_Side(r), _Side(r.reverse())) for r in reactions]
    sides = [side for pair in pairs for side in pair]
    _find_conformers(sides, calculator, model, settings)
    for reactant, product in pairs:
        _grow(reactant, product, settings.seed)
    _relax_starts(sides, calculator, settings)
    return [_together(*pair) for pair in pairs]


def relaxed_ends(
    ends: Sequence[Ends], calculator: Calculator, settings: ConformerSettings
) -> list[Ends | PhysMLError]:
    """Structures that somebody has, relaxed in batches; those that fail are left out.

    Returns:
        For each reaction its structures, or why a side has none left.
    """
    given = [atoms for one in ends for atoms in (*one.reactants, *one.products)]
    outcomes = iter(_relaxed(given, calculator, settings))
    found: list[Ends | PhysMLError] = []
    for one in ends:
        sides = []
        for structures in (one.reactants, one.products):
            ended = [next(outcomes) for _ in structures]
            reasons = [str(e) for e in ended if isinstance(e, Exception)]
            sides.append(([e for e in ended if isinstance(e, Atoms)], reasons))
        found.append(_checked(*sides))
    return found


def closest_pair(ends: Ends, align: Align) -> tuple[Atoms, Atoms]:
    """The reactant and the product that lie closest, by the RMSD of all atoms.

    As `align_ends` left them: what it may not turn is compared where it is.

    Args:
        ends: One structure or more on each side.
        align: See `Align`.

    Returns:
        Reactant, and product aligned with it; ``product.info["rmsd"]`` is in Å.

    Raises:
        StructureError: A side without a structure, or a refusal of ``align``.
    """
    best: tuple[Atoms, Atoms] | None = None
    for reactant in ends.reactants:
        for product in ends.products:
            aligned = align(reactant, product)
            apart = shifts(reactant, aligned)
            aligned.info["rmsd"] = float(np.sqrt((apart**2).sum(axis=1).mean()))
            if best is None or aligned.info["rmsd"] < best[1].info["rmsd"]:
                best = reactant, aligned
    if best is None:
        raise StructureError("a side of the reaction has no structure")
    return best


def align_mapped(reaction: MappedReaction, reactant: Atoms, product: Atoms) -> Atoms:
    """The product on the reactant; hydrogens that are alike go where they are near.

    Args:
        reaction: Reaction whose structures these are.
        reactant: Structure of the reactant; stays as it is.
        product: Structure of the product; stays as it is.

    Returns:
        A copy of the product, with its energy and forces.
    """
    heavy = np.flatnonzero(reactant.numbers != 1)
    goal, positions = reactant.positions, product.positions
    order = np.arange(len(product))
    placed = superpose(positions, goal, heavy if len(heavy) > 2 else None)
    for _ in range(_ROUNDS):
        better = reaction.match(goal, placed)
        placed = superpose(placed[better], goal)
        order = order[better]
        if np.array_equal(better, np.arange(len(order))):
            break
    aligned = product[order]
    aligned.info = dict(product.info)
    aligned.positions = placed
    return aligned


def is_of(molecule: Chem.Mol, positions: Array) -> bool:
    """Whether a geometry has the bonds and stereochemistry of a molecule, no others."""
    return (
        bool(np.isfinite(positions).all())
        and keeps_bonds(molecule, positions)
        and forms_no_bonds(molecule, positions)
        and keeps_stereo(molecule, positions)
    )


def grow(reaction: MappedReaction, reactant: Array, seed: int = 0) -> Array | None:
    """A geometry of the product, (N, 3), Å, grown out of one of the reactant.

    Bonds of the product are put between the atoms where they are, and UFF pulls them
    together and the others apart, separate molecules until they touch. Where atoms get
    into each other's way, distance geometry finds a product whose distances are near
    those of the reactant.

    Args:
        reaction: Mapped reaction; its reverse to grow reactants out of products.
        reactant: Positions of the reactant, (N, 3), Å.
        seed: Seed of the distance geometry.

    Returns:
        Positions, or None where neither gives the product.
    """
    start = reaction.handed_over(reactant)
    pulled = _pulled(reaction.product, start)
    if pulled is not None:
        return pulled
    for bounds in _bounds_near(reaction.product, start):
        found = _embed(reaction.product, bounds, _CANDIDATES, seed)
        mirrored = [_MIRROR * one for one in found]
        fitting = [one for one in [*found, *mirrored] if is_of(reaction.product, one)]
        if fitting:
            return min(fitting, key=lambda one: rmsd(one, start))
    return None


def meet(reaction: MappedReaction, count: int, seed: int) -> list[Array]:
    """Up to ``count`` geometries, (N, 3), Å, of reactants that are several molecules.

    Atoms that will be joined are next to each other.
    """
    bounds = distance_bounds(reaction.reactant)
    for i, j in reaction.formed():
        # Upper bounds stand above the diagonal.
        bounds[i, j] = min(bounds[i, j], _MEETING)
    if not DistanceGeometry.DoTriangleSmoothing(bounds):
        return []
    found = _embed(reaction.reactant, bounds, count, seed)
    return [one for one in found if is_of(reaction.reactant, one)]


def _pulled(molecule: Chem.Mol, start: Array) -> Array | None:
    """Positions that UFF finds from a start; None if stuck or without parameters."""
    trial = with_positions(molecule, start)
    with BlockLogs():
        if not rdForceFieldHelpers.UFFHasAllMoleculeParams(trial):
            return None
        rdForceFieldHelpers.UFFOptimizeMolecule(
            trial, maxIters=_PULLED, ignoreInterfragInteractions=False
        )
    positions: Array = trial.GetConformer().GetPositions()
    return positions if is_of(molecule, positions) else None


def _bounds_near(molecule: Chem.Mol, start: Array) -> Iterator[Array]:
    """Bounds of the distances of a molecule, as near to those of a start as they go."""
    possible = distance_bounds(molecule)
    upper = np.triu(possible, 1)
    lower = np.tril(possible, -1).T
    distances = cdist(start, start)
    for tolerance in _TOLERANCES:
        high = np.clip(distances + tolerance, lower, upper)
        low = np.clip(distances - tolerance, lower, upper)
        bounds = np.triu(high, 1) + np.triu(low, 1).T
        if DistanceGeometry.DoTriangleSmoothing(bounds):
            yield bounds


def _embed(molecule: Chem.Mol, bounds: Array, count: int, seed: int) -> list[Array]:
    parameters = etkdg_parameters(
        seed, bounds=bounds, separately=False, seconds=TimeLimit().left()
    )
    return embed(molecule, parameters, count)


def _find_conformers(
    sides: Sequence[_Side],
    calculator: Calculator,
    model: str,
    settings: ConformerSettings,
) -> None:
    single = [side for side in sides if side.is_single]
    found = conformers_of(
        [side.molecule for side in single], model, calculator, settings
    )
    for side, conformers in zip(single, found, strict=True):
        if isinstance(conformers, PhysMLError):
            side.reasons.append(str(conformers))
            continue
        for atoms in conformers.structures:
            if is_of(side.molecule, atoms.positions):
                side.relaxed.append(atoms)
    for side in sides:
        if not side.is_single:
            meeting = partial(meet, side.reaction, settings.n, settings.seed)
            side.starts = _tried(side, meeting)


def _tried(side: _Side, make: Callable[[], list[Array]]) -> list[Array]:
    """Geometries that RDKit makes; what it raises, no other reaction shall pay for."""
    try:
        return make()
    except Exception as error:
        # Of several lines, the first says what.
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        side.reasons.append(f"RDKit cannot embed it ({said})")
        return []


def _grow(one: _Side, other: _Side, seed: int) -> None:
    """Grow starts of each side out of the structures that the other has by now."""
    grown = [
        _tried(other_side, partial(_grown, side, seed))
        for side, other_side in ((one, other), (other, one))
    ]
    for side, starts in zip((other, one), grown, strict=True):
        side.starts += starts


def _grown(side: _Side, seed: int) -> list[Array]:
    found = [grow(side.reaction, positions, seed) for positions in _positions(side)]
    return [start for start in found if start is not None]


def _positions(side: _Side) -> Iterator[Array]:
    yield from (atoms.positions for atoms in side.relaxed)
    yield from side.starts


def _relax_starts(
    sides: Sequence[_Side], calculator: Calculator, settings: ConformerSettings
) -> None:
    starts = [_atoms(side, start) for side in sides for start in side.starts]
    outcomes = iter(_relaxed(starts, calculator, settings))
    for side in sides:
        for _ in side.starts:
            outcome = next(outcomes)
            if isinstance(outcome, Exception):
                side.reasons.append(str(outcome))
            elif is_of(side.molecule, outcome.positions):
                side.relaxed.append(outcome)
            else:
                side.reasons.append("structures become other molecules as they relax")


def _atoms(side: _Side, positions: Array) -> Atoms:
    numbers = [atom.GetAtomicNum() for atom in side.molecule.GetAtoms()]
    smiles = Chem.MolToSmiles(Chem.RemoveHs(side.molecule))
    return Atoms(numbers, positions, info={"smiles": smiles})


def _relaxed(
    structures: Sequence[Atoms], calculator: Calculator, settings: ConformerSettings
) -> list[Atoms | Exception]:
    """Relaxed structures with energy and forces, but without a calculator."""
    ended = relax_many(
        structures,
        calculator,
        fmax=settings.fmax,
        steps=settings.steps,
        batch_size=settings.batch_size,
    )
    return [
        one if isinstance(one, Exception) else labelled(start, one)
        for start, one in zip(structures, ended, strict=True)
    ]


def _together(reactant: _Side, product: _Side) -> Ends | PhysMLError:
    return _checked(
        (reactant.relaxed, reactant.reasons), (product.relaxed, product.reasons)
    )


def _checked(
    reactant: tuple[list[Atoms], list[str]], product: tuple[list[Atoms], list[str]]
) -> Ends | PhysMLError:
    for name, (structures, reasons) in (("reactant", reactant), ("product", product)):
        if not structures:
            why = reasons[0] if reasons else "no geometry has these bonds"
            return StructureError(f"no structure of the {name} is left: {why}")
    energy = Atoms.get_potential_energy
    return Ends(sorted(reactant[0], key=energy), sorted(product[0], key=energy))
