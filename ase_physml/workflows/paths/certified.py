"""Paths with certificates: from the highest images of bands on to their saddles."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ase import Atoms
from ase.calculators.calculator import Calculator

from ase_physml.workflows.alignment import shifts
from ase_physml.workflows.paths.connection import detours_of, heights, with_heights
from ase_physml.workflows.paths.reaction_path import ReactionPath, one_structure
from ase_physml.workflows.paths.refinement import bond_changes
from ase_physml.workflows.saddles.certificate import Certificate
from ase_physml.workflows.saddles.files import write_saddle
from ase_physml.workflows.saddles.minima import has_bonds_of
from ase_physml.workflows.saddles.search import (
    Guess,
    Saddle,
    SaddleSettings,
    find_saddles,
)

# Share of the largest change of bonds around an image.
_BONDS = 0.3


def certified(
    paths: Mapping[int, ReactionPath | Exception],
    calculator: Calculator,
    zero_point: bool = False,
) -> dict[int, ReactionPath | Exception]:
    """Find the saddles of paths, all of them in batches, and certify them.

    Args:
        paths: Paths, converged or not, by any number; what failed is handed on.
        calculator: Calculator of them all.
        zero_point: Whether to compute zero-point energies of saddles and ends.

    Returns:
        The paths, with ``certificate`` and ``top``; each image says the verdict.
    """
    found = dict(paths)
    guesses: dict[int, Guess] = {}
    for index, path in paths.items():
        if isinstance(path, Exception):
            continue
        reason = _obstacle(path)
        if reason:
            found[index] = _with(path, Certificate("FAIL", (reason,)), None)
        else:
            guesses[index] = guess_of(path)
    settings = SaddleSettings(zero_point=zero_point)
    outcomes = find_saddles(list(guesses.values()), calculator, settings)
    outcomes = _with_conformers(list(guesses.values()), outcomes, calculator)
    for index, outcome in zip(guesses, outcomes, strict=True):
        path = paths[index]
        assert isinstance(path, ReactionPath)
        if isinstance(outcome, Saddle):
            found[index] = _with(path, outcome.certificate, outcome)
        else:
            reason = f"the search for the saddle failed: {outcome}"
            found[index] = _with(path, Certificate("FAIL", (reason,)), None)
    return found


def _with_conformers(
    guesses: Sequence[Guess],
    outcomes: Sequence[Saddle | Exception],
    calculator: Calculator,
) -> list[Saddle | Exception]:
    """Saddles whose certificates say how other conformers turn into the ends."""
    wanted = {
        index: detours_of(one, guess.ends)
        for index, (guess, one) in enumerate(zip(guesses, outcomes, strict=True))
        if isinstance(one, Saddle) and guess.ends is not None
    }
    levels = iter(heights([d for some in wanted.values() for d in some], calculator))
    found = list(outcomes)
    for index, some in wanted.items():
        one = outcomes[index]
        if some and isinstance(one, Saddle):
            levels_of = [next(levels) for _ in some]
            found[index] = replace(one, certificate=with_heights(one, levels_of))
    return found


def better(
    one: ReactionPath | Exception, other: ReactionPath | Exception
) -> ReactionPath | Exception:
    """The path of the better certificate; of equal ones the first."""
    if isinstance(one, Exception) or isinstance(other, Exception):
        return other if isinstance(one, Exception) else one
    order = ("PASS", "WARN", "FAIL")
    best = min(one, other, key=lambda path: order.index(path.grade))
    # A saddle of another reaction says more than none.
    if best is one and one.grade == other.grade == "FAIL" and not _has_way(one):
        best = other
    _say(best)
    return best


def _has_way(path: ReactionPath) -> bool:
    return path.top is not None and bool(path.top.path)


def missing_step(path: ReactionPath) -> tuple[Atoms, Atoms] | None:
    """The other step of a path whose saddle joins one end and an intermediate.

    Returns:
        Intermediate and product, or reactant and intermediate; None for other paths.
    """
    if path.top is None or path.grade != "FAIL" or not path.top.path:
        return None
    ends = path.images[0], path.images[-1]
    minima = path.top.path[0], path.top.path[-1]
    fits = [has_bonds_of(one, end) for one, end in zip(minima, ends, strict=True)]
    if sum(fits) != 1:
        return None
    between = minima[1] if fits[0] else minima[0]
    if any(has_bonds_of(between, end) for end in ends):
        return None
    return (between, ends[1]) if fits[0] else (ends[0], between)


def in_two_steps(path: ReactionPath, step: ReactionPath | Exception) -> ReactionPath:
    """A path whose saddle joins one end and an intermediate, with its other step.

    Args:
        path: The path.
        step: Path of `missing_step`.
    """
    assert path.certificate is not None
    assert path.top is not None
    names = path.certificate.minima
    first = has_bonds_of(path.top.path[0], path.images[0])
    between = names[1] if first else names[0]
    if isinstance(step, Exception) or not step.sound or step.top is None:
        why = step if isinstance(step, Exception) else step.verdict
        reason = f"the step between {between} and the other end: {why}"
        reasons = (*path.certificate.reasons, reason)
        return _with(path, replace(path.certificate, reasons=reasons), path.top)
    parts = (_part(path), step) if first else (step, _part(path))
    tops = [part.top for part in parts if part.top is not None]
    top = max(tops, key=lambda one: one.energy)
    levels = float(path.energies[0]), float(path.energies[-1])
    heights = ", ".join(f"{one.energy - levels[0]:.3f}" for one in tops)
    said = f"two steps, over {between}: saddles at {heights} eV above the reactant"
    others: tuple[str, ...] = ()
    if step.certificate is not None and step.grade == "WARN":
        others = step.certificate.reasons
    barriers = top.energy - levels[0], top.energy - levels[1]
    whole = Certificate("WARN", (said, *others), True, names)
    done = _with(path, whole, replace(top, barriers=barriers, barrier_std=None))
    return replace(done, parts=parts)


def _part(path: ReactionPath) -> ReactionPath:
    """The step of a path that its own saddle is of."""
    assert path.top is not None
    assert path.certificate is not None
    energies = path.top.energies
    top = path.top.energy
    barriers = top - float(energies[0]), top - float(energies[-1])
    names = path.certificate.minima
    reason = f"joins {names[0]} and {names[1]}"
    return ReactionPath(
        path.top.path,
        energies,
        path.forces,
        True,
        path.seconds,
        certificate=Certificate("PASS", (reason,), True, names),
        top=replace(path.top, barriers=barriers),
    )


def guess_of(path: ReactionPath) -> Guess:
    """The highest image inside, and the direction of the path there.

    Of maxima where bonds change, if there are any: others are of conformations.
    """
    k = 1 + int(path.energies[1:-1].argmax())
    changes = bond_changes(path.images)
    changes = changes[:-1] + changes[1:]
    inside, energies = range(1, len(path.images) - 1), path.energies
    tops = [
        i
        for i in inside
        if energies[i] >= max(energies[i - 1], energies[i + 1])
        and changes[i - 1] > _BONDS * changes.max()
    ]
    if tops:
        k = max(tops, key=lambda i: energies[i])
    along = shifts(path.images[k - 1], path.images[k + 1])
    return Guess(path.images[k], along, (path.images[0], path.images[-1]))


def _obstacle(path: ReactionPath) -> str:
    """Reason why there is nothing to search from, or ""."""
    one = one_structure(path.images[0], path.images[-1], path.reaction_energy)
    if one:
        return one
    flat = [flaw for flaw in path.flaws if "no maximum inside" in flaw]
    return flat[0] if flat else ""


def _with(
    path: ReactionPath, certificate: Certificate, top: Saddle | None
) -> ReactionPath:
    # What the band lacked matters where the saddle is none.
    reasons = certificate.reasons
    if certificate.grade == "FAIL":
        reasons += tuple(f"band {flaw}" for flaw in path.flaws if flaw not in reasons)
    done = replace(
        path,
        certificate=replace(certificate, reasons=reasons),
        top=top,
        barrier_std=top.barrier_std if top is not None and certificate.joins else None,
    )
    _say(done)
    return done


def _say(path: ReactionPath) -> None:
    for image in path.images:
        image.info["verdict"] = path.verdict


def write_certificate(stem: Path, path: ReactionPath) -> None:
    """Write what `write_saddle` does of a path; nothing where none was asked for."""
    if path.certificate is not None:
        write_saddle(stem, path.certificate, path.top)
