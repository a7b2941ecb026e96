"""Results of structures from several members: their mean, and their spread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress
from torch import Tensor

from ase_physml.data.conversion import has_stress
from ase_physml.potential import Prediction

Array = npt.NDArray[np.float64]
Results = dict[str, Any]

# Results that only a committee has; ASE does not know them.
SPREADS = ("energy_members", "energy_std", "forces_std")


@dataclass(frozen=True)
class Calibration:
    """Scale of the spread of a committee.

    Members that share data and architecture err together, so that their spread is too
    small: it is multiplied by what makes it as large as the error on held-out frames.

    Attributes:
        energy_scale: Factor for the spread of energies.
        forces_scale: Factor for the spread of forces.
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


def results_of(
    structures: Sequence[Atoms],
    members: Sequence[Prediction[Tensor]] | Sequence[Prediction[Array]],
    calibration: Calibration,
) -> list[Results]:
    """Results of each structure of a batch, none a view of the batch.

    Args:
        structures: Structures of the batch.
        members: Output of each member for it.
        calibration: Scale of their spread.

    Returns:
        ``energy``, ``free_energy``, ``energies`` and ``forces``, the mean over members;
        of cells with a volume ``stress`` in eV/Å^3, in Voigt's order (xx, yy, zz, yz,
        xz, xy) and with ASE's sign: positive where the cell would rather be smaller;
        of models that have charges ``charges`` and, of molecules, ``dipole``;
        with two members or more ``energy_members`` (K,), ``energy_std`` and
        ``forces_std`` (N, 3), sample standard deviations times the calibration.
    """
    if len(structures) == len(members) == 1 and all(
        part is None for part in members[0][3:]
    ):
        return [_of_one(members[0])]
    cuts = np.cumsum([len(atoms) for atoms in structures])[:-1]
    energies = np.stack([_array(member.energies) for member in members])
    forces = np.stack([_array(member.forces) for member in members])
    per_atom = np.mean([_array(member.per_atom) for member in members], axis=0)
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
    strains = [m.by_strain for m in members if m.by_strain is not None]
    if strains:
        by_strain = np.mean([_array(one) for one in strains], axis=0)
        for result, atoms, gradient in zip(results, structures, by_strain, strict=True):
            if has_stress(atoms):
                stress = full_3x3_to_voigt_6_stress(gradient / atoms.cell.volume)
                result["stress"] = stress
    charges = [m.charges for m in members if m.charges is not None]
    if len(charges) == len(members):
        mean = np.mean([_array(one) for one in charges], axis=0)
        _add_charges(results, structures, np.split(mean, cuts))
    if len(members) > 1:
        spread = calibration.forces_scale * forces.std(axis=0, ddof=1)
        for k, (result, force) in enumerate(
            zip(results, np.split(spread, cuts), strict=True)
        ):
            result["energy_members"] = energies[:, k].copy()
            result["energy_std"] = energy_spread(energies[:, k], calibration)
            result["forces_std"] = force.copy()
    return results


def _of_one(member: Prediction[Tensor] | Prediction[Array]) -> Results:
    """Results of one molecule without charges: nothing to split or average."""
    energy = float(member.energies[0])
    per_atom, forces = _array(member.per_atom).copy(), _array(member.forces).copy()
    return {
        "energy": energy, "free_energy": energy, "energies": per_atom, "forces": forces
    }  # fmt: skip


def _add_charges(
    results: Sequence[Results], structures: Sequence[Atoms], charges: Sequence[Array]
) -> None:
    """Charges (N,) in e; and of molecules, the dipole (3,) in e Å."""
    for result, atoms, some in zip(results, structures, charges, strict=True):
        result["charges"] = some.copy()
        if not atoms.pbc.any():
            result["dipole"] = some @ atoms.positions


def _array(values: Tensor | Array) -> Array:
    if isinstance(values, np.ndarray):
        return values
    found: Array = values.double().cpu().numpy()
    return found


def energy_spread(members: Array, calibration: Calibration) -> float:
    """Calibrated standard deviation of energies, or of differences of them, eV."""
    return float(calibration.energy_scale * members.std(ddof=1))
