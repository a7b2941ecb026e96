"""What a band that has been searched is worth: said in one place, for all who show it.

A flaw means that its barrier is none; a remark is to be read beside the barrier.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from ase import Atoms

from ase_physml.workflows.ends import shifts

# Å; relaxations to one minimum end within this, and no reaction moves atoms so little.
ONE_STRUCTURE = 0.2
# eV; the same of their energies.
_ONE_ENERGY = 0.02
# Å; an atom that moves further between two images passes what neither of them sees.
SPACING = 1.0
# eV; less is the noise of relaxed ends.
_TOP = 1e-4
# eV; a well less deep is left at room temperature.
_WELL = 0.02


@dataclass(frozen=True)
class Verdict:
    """Of a band.

    Attributes:
        flaws: Why it gives no barrier; none of them, and it does.
        remarks: What else to know about it.
        converged: Its forces are below the threshold, its ends are two structures and
            no atom jumps between its images.
    """

    flaws: tuple[str, ...]
    remarks: tuple[str, ...]
    converged: bool


def judge(
    images: Sequence[Atoms],
    energies: npt.NDArray[np.float64],
    force: float,
    fmax: float,
    steps: int,
) -> Verdict:
    """What is to be said of a band.

    Args:
        images: Of the band, ends included.
        energies: Of the images, eV.
        force: Largest on the band, eV/Å.
        fmax: The threshold it was to fall below, eV/Å.
        steps: That were taken.
    """
    one = one_structure(images[0], images[-1], float(energies[-1] - energies[0]))
    if one:
        return Verdict((one,), (), converged=False)
    flaws = []
    if not force < fmax:
        flaws.append(
            f"not converged: {force:.3f} eV/Å after {steps} steps, {fmax:g} asked for"
        )
    flaws += _too_far(images)
    converged = not flaws
    inside, ends = energies[1:-1], energies[[0, -1]]
    if inside.max() < ends.max() + _TOP:
        end = "product" if ends[1] > ends[0] else "reactant"
        flaws.append(f"no maximum inside: the highest image is the {end}")
    return Verdict(tuple(flaws), tuple(_wells(energies)), converged)


def one_structure(reactant: Atoms, product: Atoms, energy: float) -> str:
    """That two ends, aligned, are one structure; "" if they are two.

    Args:
        reactant: One end.
        product: The other.
        energy: Between them, eV.
    """
    furthest = float(np.linalg.norm(shifts(reactant, product), axis=1).max())
    if furthest > ONE_STRUCTURE or abs(energy) > _ONE_ENERGY:
        return ""
    return (
        f"the ends are one structure: no atom moves further than {furthest:.2f} Å and "
        f"the energies differ by {abs(energy):.3f} eV"
    )


def _too_far(images: Sequence[Atoms]) -> list[str]:
    gaps = [
        float(np.linalg.norm(shifts(one, other), axis=1).max())
        for one, other in pairwise(images)
    ]
    worst = int(np.argmax(gaps))
    if gaps[worst] <= SPACING:
        return []
    return [
        f"images too far apart: an atom moves {gaps[worst]:.1f} Å from image {worst} "
        f"to {worst + 1}, more than {SPACING:g}; search with more images"
    ]


def _wells(energies: npt.NDArray[np.float64]) -> list[str]:
    """The lowest image inside, if it is a minimum of its own."""
    depths = [
        min(energies[:k].max(), energies[k + 1 :].max()) - energies[k]
        for k in range(1, len(energies) - 1)
    ]
    k = int(np.argmax(depths)) + 1
    if depths[k - 1] < _WELL:
        return []
    return [
        f"a minimum inside at image {k}, {energies[k] - energies[0]:+.3f} eV: relax it "
        "and search both halves"
    ]
