"""Ways between conformers: whether one turns into the other below a saddle.

The steepest descent from a saddle often ends in another conformer than the one that a
reaction was asked for. If some way between both stays below the saddle, then the saddle
is the highest point of a path that joins the ends as they were given.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.optimize import FIRE

from ase_physml.workflows.alignment import placement_of
from ase_physml.workflows.paths.band import BatchedNEB, run_bands
from ase_physml.workflows.paths.interpolation import images_between
from ase_physml.workflows.paths.refinement import UNSEEN, bond_changes
from ase_physml.workflows.saddles.certificate import ROLES, Certificate
from ase_physml.workflows.saddles.search import Saddle

_IMAGES = 11
# Steps of a band that lies too high at first, and the force, eV/Å, that ends it.
_STEPS, _FMAX = 30, 0.2
# eV; what is nearer to a saddle is not below it.
_MARGIN = 0.02


@dataclass(frozen=True)
class Detour:
    """A way that is wanted.

    Attributes:
        ends: Two conformers, with the same order of atoms.
        ceiling: Energy, eV, below which all of it shall lie.
    """

    ends: tuple[Atoms, Atoms]
    ceiling: float


def heights(detours: Sequence[Detour], calculator: Calculator) -> list[float | None]:
    """Highest energy on a way between conformers, eV, all of them in batches.

    Interpolated ways first; those that lie too high are bands for a few steps. It is an
    upper bound: a better way may be lower.

    Args:
        detours: Ways that are wanted.
        calculator: Calculator of them all.

    Returns:
        For each the energy; None where no way below the ceiling was found.
    """
    bands = {
        k: band for k, one in enumerate(detours) if (band := _band(one, calculator))
    }
    found: dict[int, float] = {}
    for steps in (0, _STEPS):
        left = [k for k in bands if k not in found]
        ended = run_bands([bands[k] for k in left], FIRE, _FMAX, steps)
        for k, outcome in zip(left, ended, strict=True):
            if isinstance(outcome, Exception):
                continue
            images = bands[k].images
            top = max(float(image.get_potential_energy()) for image in images)
            seen = bond_changes(images).max() < UNSEEN
            if seen and top < detours[k].ceiling - _MARGIN:
                found[k] = top
    return [found.get(k) for k in range(len(detours))]


def _band(detour: Detour, calculator: Calculator) -> BatchedNEB | None:
    try:
        images = images_between(detour.ends, _IMAGES)
    except Exception:
        return None  # of conformers whose straight way is none, there is no other
    turned = placement_of(images[0]).aligned
    return BatchedNEB(images, calculator, remove_rotation_and_translation=turned)


def detours_of(saddle: Saddle, ends: tuple[Atoms, Atoms]) -> list[Detour]:
    """Ways from the minima of a saddle to the ends of which they are conformers."""
    minima = (saddle.path[0], saddle.path[-1]) if saddle.path else ()
    return [
        Detour((ends[k].copy(), minima[k].copy()), saddle.energy)
        for k in saddle.certificate.others
    ]


def with_heights(saddle: Saddle, found: Sequence[float | None]) -> Certificate:
    """Certificate that says how its conformers turn into the ends.

    Args:
        saddle: Saddle.
        found: Results of `heights` for its `detours_of`.
    """
    known = saddle.certificate
    said = []
    for k, height in zip(known.others, found, strict=True):
        if height is None:
            said.append(f"no way to the {ROLES[k]} below the saddle was found")
            continue
        depth = saddle.energy - height
        said.append(f"which turns into the {ROLES[k]} {depth:.2f} eV below the saddle")
    connected = all(height is not None for height in found)
    return replace(known, reasons=(*known.reasons, *said), connected=connected)
