"""Minimum energy paths of reactions: relaxed ends, interpolation, bands in batches."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ase import Atoms
from ase.calculators.calculator import Calculator

from ase_physml.calculators.names import CalculatorLike, as_calculator, name_of
from ase_physml.calculators.provenance import identity_of
from ase_physml.errors import StructureError
from ase_physml.jobs.identity import Identity
from ase_physml.workflows.alignment import placement_of
from ase_physml.workflows.image_files import read_images
from ase_physml.workflows.paths.band_search import BandSearch, OnBandStep, PathOutcome
from ase_physml.workflows.paths.certified import (
    better,
    certified,
    in_two_steps,
    missing_step,
)
from ase_physml.workflows.paths.interpolation import STARTS, images_between
from ase_physml.workflows.paths.reaction_path import (
    ReactionPath,
    one_structure,
)
from ase_physml.workflows.relax import (
    Relaxed,
    check_is_atoms,
    check_settings,
)
from ase_physml.workflows.relax_many import relax_many

# Steps after which a band is near enough to go on to the saddle from, mostly.
_LOOSE = 60
_FORMAT = 1


@dataclass(frozen=True)
class Search:
    """Settings of `find_paths`.

    Attributes:
        images: Number of images of a path, ends included.
        fmax: Threshold of the largest force on a band, eV/Å.
        steps: Largest number of steps of a band.
        climb: Whether the highest image climbs, once the band is near.
        optimizer: Name of ASE's optimizer: "BFGS", "LBFGS" or "FIRE".
        relax_ends: Whether to relax reactant and product first.
        end_fmax: Threshold of the largest force on these, eV/Å.
        match: Whether to reorder the product's atoms; see `align_ends`.
        any_domain: Whether to search with a potential that has seen minima only.
        start: Interpolation that bands start from, "idpp" or "geodesic".
        certify: Whether to go on from the highest image to the saddle, and to certify
            that; see `find_saddles`.
        zero_point: Whether to compute zero-point energies of saddle and ends.
        split: Whether to search the missing step where a saddle joins one end and an
            intermediate.
    """

    images: int = 9
    fmax: float = 0.05
    steps: int = 500
    climb: bool = True
    optimizer: str = "FIRE"
    relax_ends: bool = True
    end_fmax: float = 0.01
    match: bool = False
    any_domain: bool = False
    start: str = "idpp"
    certify: bool = True
    zero_point: bool = False
    split: bool = True


def find_paths(
    ends: Sequence[tuple[Atoms, Atoms]],
    calculator: CalculatorLike,
    search: Search | None = None,
    on_step: OnBandStep | None = None,
    states: Sequence[Path] | None = None,
    resume: bool = False,
    made_of: Sequence[Identity] | None = None,
    through: Sequence[Atoms | None] | None = None,
) -> list[PathOutcome]:
    """Search the paths of many reactions, all images of all of them in one batch.

    Args:
        ends: Reactant and product of each reaction; they stay as they are.
        calculator: Calculator or its name, see `as_calculator`. One that has
            ``calculate_many``, as PhysML's have, computes batches; any other of ASE's
            image by image.
        search: Settings of the search.
        on_step: See `OnBandStep`.
        states: Trajectory for each, where its images are kept every 20 steps.
        resume: Whether to start from those.
        made_of: Identity of each search, of `path_identities`; kept with the images,
            and compared before they are used again.
        through: Guess of the saddle of each, or None: a structure of the same atoms in
            the same order, through which the band is laid.

    Returns:
        For each reaction its path, whose `ReactionPath.verdict` says what it is worth,
        or the exception that says why there is none.

    Raises:
        StructureError: A setting out of range, or a potential that has seen no barrier.
        PotentialError: No calculator, or one without forces.
    """
    search = search or Search()
    calculator = as_calculator(calculator)
    check_search(search, calculator)
    if len(ends) == 2 and all(isinstance(end, Atoms) for end in ends):
        ends = [(ends[0], ends[1])]  # type: ignore[list-item]
    under_way = BandSearch(
        calculator,
        search.optimizer,
        search.fmax,
        search.climb,
        on_step,
        states,
        made_of,
    )
    outcomes: dict[int, PathOutcome] = {}
    earlier: dict[int, list[Atoms]] = {}
    for index, state in enumerate(states or ()) if resume else ():
        made = None if made_of is None else made_of[index]
        try:
            earlier[index] = read_images(state, made)
        except Exception as error:
            outcomes[index] = error
    begun = {index for index, images in earlier.items() if images}
    for index, pair in enumerate(_relaxed_ends(ends, calculator, search, begun)):
        if index in outcomes:
            continue
        try:
            guess = None if through is None else through[index]
            images = earlier.get(index) or images_between(
                pair, search.images, search.start, search.match, guess
            )
            under_way.add(index, images, _about(pair, images))
        except Exception as error:
            outcomes[index] = error
    if search.certify:
        outcomes.update(_to_saddles(under_way, calculator, search))
    else:
        outcomes.update(under_way.run(under_way.indices, search.steps))
    found = [outcomes[index] for index in range(len(ends))]
    if search.certify and search.split:
        found = split(found, calculator, search)
    return found


def _to_saddles(
    under_way: BandSearch, calculator: Calculator, search: Search
) -> dict[int, PathOutcome]:
    """Paths from loose bands on to saddles; those that lead to none, once more.

    Images are added where bonds change between two of them, and where the top of a band
    is sharp.
    """
    first = min(search.steps, _LOOSE)
    loose = under_way.run(under_way.indices, first - first // 2)
    unseen = [k for k in loose if _is_reaction(loose[k])]
    for index in unseen:
        under_way.resolve(index, search.images)
    loose |= under_way.run(unseen, first // 2)
    found = certified(loose, calculator, search.zero_point)
    left = [index for index, path in found.items() if _is_worth_more(path)]
    if search.steps == first or not left:
        return found
    for index in left:
        if not under_way.resolve(index, search.images, wide=True):
            under_way.zoom(index, search.images)
    again = certified(
        under_way.run(left, search.steps - first), calculator, search.zero_point
    )
    return found | {index: better(found[index], again[index]) for index in left}


def _is_worth_more(outcome: PathOutcome) -> bool:
    """Whether more steps of its band may lead to a saddle."""
    failed = not isinstance(outcome, Exception) and outcome.grade == "FAIL"
    return failed and _is_reaction(outcome)


def _is_reaction(outcome: PathOutcome) -> bool:
    """Whether there is a band between two structures."""
    if isinstance(outcome, Exception):
        return False
    first, last = outcome.images[0], outcome.images[-1]
    return not one_structure(first, last, outcome.reaction_energy)


def split(
    paths: Sequence[PathOutcome], calculator: Calculator, search: Search
) -> list[PathOutcome]:
    """Search the other step where a saddle joins one end and an intermediate.

    Args:
        paths: Paths with certificates.
        calculator: Calculator of them all.
        search: Settings of the search.

    Returns:
        The paths; those of two steps have ``parts``, and the higher saddle on top.
    """
    found = list(paths)
    missing = {
        index: rest
        for index, path in enumerate(paths)
        if isinstance(path, ReactionPath) and (rest := missing_step(path)) is not None
    }
    once = replace(search, split=False, match=False)
    steps = find_paths(list(missing.values()), calculator, once) if missing else []
    for index, step in zip(missing, steps, strict=True):
        path = paths[index]
        assert isinstance(path, ReactionPath)
        found[index] = in_two_steps(path, step)
    return found


def _about(
    pair: tuple[Atoms, Atoms] | Exception, images: Sequence[Atoms]
) -> tuple[str, ...]:
    """Remarks: how the ends were brought together, and which of them did not relax."""
    said = [placement_of(images[0]).about]
    if not isinstance(pair, Exception):
        said += [
            f"the {name} did not relax to the largest force asked for"
            for name, end in zip(("reactant", "product"), pair, strict=True)
            if end.info.get("converged") is False
        ]
    return tuple(said)


def check_search(search: Search, calculator: Calculator) -> None:
    """Refuse, before any work, what `find_paths` would.

    Raises:
        StructureError: A setting out of range, or a potential that has seen no barrier.
    """
    check_settings(search.optimizer, search.fmax, search.steps)
    if search.images < 3:
        raise StructureError(f"a path needs 3 images or more, got {search.images}")
    if search.start not in STARTS:
        known = ", ".join(STARTS)
        raise StructureError(f"start {search.start!r} is not one of {known}")
    card = getattr(calculator, "card", None)
    if card is not None and card.domain == "equilibrium" and not search.any_domain:
        raise StructureError(
            f"{name_of(calculator)} was trained on equilibrium structures only and "
            "has never seen a barrier; use a potential for reactions, or ask for it "
            "all the same (any_domain, --any-domain)"
        )


def _relaxed_ends(
    ends: Sequence[tuple[Atoms, Atoms]],
    calculator: Calculator,
    search: Search,
    begun: Collection[int],
) -> list[tuple[Atoms, Atoms] | Exception]:
    """Ends of each reaction; those of bands that are begun are relaxed already."""
    pairs = [_checked(pair, index) for index, pair in enumerate(ends)]
    if not search.relax_ends:
        return pairs
    raw = {
        index: pair
        for index, pair in enumerate(pairs)
        if isinstance(pair, tuple) and index not in begun
    }
    flat = [end for pair in raw.values() for end in pair]
    found = iter(relax_many(flat, calculator, fmax=search.end_fmax))
    return [
        _relaxed(next(found), next(found)) if index in raw else pair
        for index, pair in enumerate(pairs)
    ]


def _checked(pair: object, index: int) -> tuple[Atoms, Atoms] | Exception:
    """A reaction as it was given, or why it is none."""
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        return StructureError(
            f"reaction {index} must be a reactant and a product, got "
            f"{type(pair).__name__}"
        )
    try:
        for name, end in zip(("reactant", "product"), pair, strict=True):
            check_is_atoms(end, f"the {name} of reaction {index}")
    except StructureError as error:
        return error
    return pair[0], pair[1]


def _relaxed(
    first: Relaxed | Exception, last: Relaxed | Exception
) -> tuple[Atoms, Atoms] | Exception:
    for one in (first, last):
        if isinstance(one, Exception):
            return one
        one.atoms.info["converged"] = one.converged
    assert isinstance(first, Relaxed)
    assert isinstance(last, Relaxed)
    return first.atoms, last.atoms


def path_identities(
    ends: Sequence[tuple[Atoms, Atoms]], calculator: Calculator, search: Search
) -> list[Identity]:
    """Everything that the result of each search depends on."""
    potential = identity_of(calculator)
    return [
        Identity.of(
            "neb",
            _FORMAT,
            reactant=reactant,
            product=product,
            potential=potential,
            search=search,
        )
        for reactant, product in ends
    ]
