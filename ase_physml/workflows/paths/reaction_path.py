"""A searched reaction path, and what its band is worth.

What a band is worth is said in one place, for all who show it. A flaw means that its
barrier is none; a remark is to be read beside the barrier.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from ase import Atoms

from ase_physml.calculators.spread import energy_spread
from ase_physml.workflows.alignment import shifts
from ase_physml.workflows.saddles.certificate import Certificate, Grade
from ase_physml.workflows.saddles.search import Saddle
from ase_physml.workflows.uncertainty import Doubt, doubt_about, most_doubtful

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
class ReactionPath:
    """A band at the end of its optimisation.

    Attributes:
        images: Structures along the path, with energies and forces.
        energies: Energies of the images, eV.
        forces: Largest force on the band at the start and every step, eV/Å.
        converged: Whether the last of them is below the threshold, the ends are two
            structures and no atom jumps between images.
        seconds: Wall time since the search began, of all bands together, s.
        barrier_std: Calibrated standard deviation of the barrier, eV; None but for a
            committee and a sound path.
        doubt: Most doubtful image.
        flaws: Reasons why the path gives no barrier; see `judge`.
        remarks: Notes on the path: how its ends were brought together, a minimum
            inside, ends that did not relax.
        certificate: Certificate of the saddle found from its highest image; None where
            that was not asked for.
        top: That saddle; None where there is none. Of two steps the higher one.
        parts: Both steps of a path over an intermediate.
    """

    images: list[Atoms]
    energies: npt.NDArray[np.float64]
    forces: list[float]
    converged: bool
    seconds: float
    barrier_std: float | None = None
    doubt: Doubt | None = None
    flaws: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    certificate: Certificate | None = None
    top: Saddle | None = None
    parts: "tuple[ReactionPath, ...]" = ()

    @property
    def sound(self) -> bool:
        """Whether its barrier is one.

        With a certificate, whether the saddle joins the ends; without, whether the band
        has converged over a maximum inside.
        """
        if self.certificate is not None:
            return self.certificate.joins
        return not self.flaws

    @property
    def grade(self) -> Grade:
        """PASS, WARN or FAIL; without a certificate no path is a PASS."""
        if self.certificate is not None:
            return self.certificate.grade
        return "FAIL" if self.flaws else "WARN"

    @property
    def verdict(self) -> str:
        """Grade and reasons of the certificate; without one the band's flaws."""
        if self.certificate is not None:
            return f"{self.grade}: {self.certificate.reason}"
        return "; ".join(self.flaws) or "converged"

    @property
    def barrier(self) -> float:
        """Energy of the saddle above the first image, eV; else of the highest image."""
        if self.sound and self.top is not None and self.top.barriers is not None:
            return self.top.barriers[0]
        return float(self.energies.max() - self.energies[0])

    @property
    def barrier_back(self) -> float:
        """Energy of the same above the last image, eV."""
        return self.barrier - self.reaction_energy

    @property
    def transition_state(self) -> Atoms:
        """The saddle, with energy and forces; the highest image where there is none."""
        if self.sound and self.top is not None:
            return self.top.atoms
        return self.images[self.saddle]

    @property
    def reaction_energy(self) -> float:
        """Energy of the last image above the first, eV."""
        return float(self.energies[-1] - self.energies[0])

    @property
    def saddle(self) -> int:
        """Index of the highest image."""
        return int(self.energies.argmax())


@dataclass(frozen=True)
class Verdict:
    """Judgement of a band.

    Attributes:
        flaws: Reasons why it gives no barrier; none of them, and it does.
        remarks: Notes to read beside the barrier.
        converged: Whether its forces are below the threshold, its ends are two
            structures and no atom jumps between its images.
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
    """Judge a band.

    Args:
        images: Structures along the band, ends included.
        energies: Energies of the images, eV.
        force: Largest force on the band, eV/Å.
        fmax: Threshold that it was to fall below, eV/Å.
        steps: Number of steps that were taken.
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
    """Statement that two ends are one structure; "" if they are two.

    Args:
        reactant: Structure of one end.
        product: Structure of the other, aligned with it.
        energy: Energy difference between them, eV.
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


def path_of(
    images: list[Atoms],
    forces: list[float],
    fmax: float,
    seconds: float,
    remarks: tuple[str, ...],
) -> ReactionPath:
    """The path that the images of a band make, judged; each image says the verdict.

    Args:
        images: Structures along the path, with calculators.
        forces: Largest force on the band at the start and every step, eV/Å.
        fmax: Threshold that the last of them was to fall below, eV/Å.
        seconds: Wall time, s.
        remarks: Remarks to begin with.
    """
    energies = np.array([image.get_potential_energy() for image in images])
    verdict = judge(images, energies, forces[-1], fmax, len(forces) - 1)
    spread = _spread_of_barrier(images[0], images[int(energies.argmax())])
    path = ReactionPath(
        images,
        energies,
        forces,
        verdict.converged,
        seconds,
        None if verdict.flaws else spread,
        most_doubtful(map(doubt_about, images)),
        verdict.flaws,
        remarks + verdict.remarks,
    )
    for image in images:
        image.info["verdict"] = path.verdict
    return path


def _spread_of_barrier(first: Atoms, saddle: Atoms) -> float | None:
    # Of the differences, member by member: much of what they err cancels.
    if "energy_members" not in first.calc.results:
        return None
    members = [image.calc.results["energy_members"] for image in (first, saddle)]
    return energy_spread(members[1] - members[0], first.calc.calibration)
