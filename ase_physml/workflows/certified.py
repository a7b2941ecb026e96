"""Paths with certificates: from the highest images of bands on to their saddles."""

from collections.abc import Sequence
from dataclasses import replace

from ase.calculators.calculator import Calculator

from ase_physml.workflows.alignment import shifts
from ase_physml.workflows.certificate import Certificate
from ase_physml.workflows.reaction_path import ReactionPath, one_structure
from ase_physml.workflows.saddles import (
    Guess,
    Saddle,
    SaddleSettings,
    find_saddles,
)


def certified(
    paths: Sequence[ReactionPath | Exception],
    calculator: Calculator,
    zero_point: bool = False,
) -> list[ReactionPath | Exception]:
    """Find the saddles of paths, all of them in batches, and certify them.

    Args:
        paths: Paths, converged or not; what failed is handed on.
        calculator: Calculator of them all.
        zero_point: Whether to compute zero-point energies of saddles and ends.

    Returns:
        The paths, with ``certificate`` and ``top``; each image says the verdict.
    """
    found: list[ReactionPath | Exception] = list(paths)
    guesses: dict[int, Guess] = {}
    for index, path in enumerate(paths):
        if isinstance(path, Exception):
            continue
        reason = _obstacle(path)
        if reason:
            found[index] = _with(path, Certificate("FAIL", (reason,)), None)
        else:
            guesses[index] = guess_of(path)
    settings = SaddleSettings(zero_point=zero_point)
    outcomes = find_saddles(list(guesses.values()), calculator, settings)
    for index, outcome in zip(guesses, outcomes, strict=True):
        path = paths[index]
        assert isinstance(path, ReactionPath)
        if isinstance(outcome, Saddle):
            found[index] = _with(path, outcome.certificate, outcome)
        else:
            reason = f"the search for the saddle failed: {outcome}"
            found[index] = _with(path, Certificate("FAIL", (reason,)), None)
    return found


def guess_of(path: ReactionPath) -> Guess:
    """The highest image inside, and the direction of the path there."""
    k = 1 + int(path.energies[1:-1].argmax())
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
    for image in done.images:
        image.info["verdict"] = done.verdict
    return done
