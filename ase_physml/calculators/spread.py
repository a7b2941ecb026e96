"""What several members make of a structure: their mean, and how far they part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Results = dict[str, Any]

# Results that only a committee has; ASE does not know them.
SPREADS = ("energy_members", "energy_std", "forces_std")


@dataclass(frozen=True)
class Calibration:
    """How the spread of a committee is to be read.

    Members that share data and architecture err together, so that their spread is too
    small: it is multiplied by what makes it as large as the error on held-out frames.

    Attributes:
        energy_scale: Of the spread of energies.
        forces_scale: Of the spread of forces.
        threshold: Spread of the force on an atom, eV/Å after scaling, that few atoms of
            held-out frames exceed; None if nobody measured it.
    """

    energy_scale: float = 1.0
    forces_scale: float = 1.0
    threshold: float | None = None

    @classmethod
    def of_card(cls, uncertainty: Mapping[str, float]) -> "Calibration":
        """From the card of a potential."""
        return cls(
            uncertainty.get("energy_scale", 1.0),
            uncertainty.get("forces_scale", 1.0),
            uncertainty.get("threshold_eV_per_A"),
        )


@dataclass(frozen=True)
class Prediction:
    """What one member says of a batch.

    Attributes:
        energies: (M,), eV.
        per_atom: (A,), eV.
        forces: (A, 3), eV/Å.
    """

    energies: Array
    per_atom: Array
    forces: Array


def results_of(
    sizes: Sequence[int], members: Sequence[Prediction], calibration: Calibration
) -> list[Results]:
    """Results of each structure of a batch, none a view of the batch.

    Args:
        sizes: Atoms of each structure.
        members: What they say.
        calibration: Of their spread.

    Returns:
        ``energy``, ``free_energy``, ``energies`` and ``forces``, the mean over members;
        with two members or more ``energy_members`` (K,), ``energy_std`` and
        ``forces_std`` (N, 3), sample standard deviations times the calibration.
    """
    cuts = np.cumsum(sizes)[:-1]
    energies = np.stack([member.energies for member in members])
    forces = np.stack([member.forces for member in members])
    per_atom = np.mean([member.per_atom for member in members], axis=0)
    rows = zip(
        energies.mean(axis=0),
        np.split(per_atom, cuts),
        np.split(forces.mean(axis=0), cuts),
        strict=True,
    )
    results: list[Results] = [
        {
            "energy": float(energy),
            "free_energy": float(energy),
            "energies": atoms.copy(),
            "forces": force.copy(),
        }
        for energy, atoms, force in rows
    ]
    if len(members) > 1:
        spread = calibration.forces_scale * forces.std(axis=0, ddof=1)
        for k, (result, force) in enumerate(
            zip(results, np.split(spread, cuts), strict=True)
        ):
            result["energy_members"] = energies[:, k].copy()
            result["energy_std"] = energy_spread(energies[:, k], calibration)
            result["forces_std"] = force.copy()
    return results


def energy_spread(members: Array, calibration: Calibration) -> float:
    """Calibrated standard deviation of energies, or of differences of them, eV."""
    return float(calibration.energy_scale * members.std(ddof=1))
