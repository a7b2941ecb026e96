"""Uncertainty of a committee: structures to distrust, and its spread, calibrated."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ase import Atoms

from ase_physml.calculators.physml import PhysMLCalculator
from ase_physml.calculators.spread import Calibration, energy_spread
from ase_physml.data.conversion import Labels, from_atoms, to_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.groups import groups_of
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write
from ase_physml.errors import DataError, PotentialError
from ase_physml.store.checkpoint import load_potentials, save_model

Array = npt.NDArray[np.float64]

# Of the atoms of held-out frames, those above the threshold.
_DOUBTED = 0.05
_BATCH = 64


@dataclass(frozen=True)
class Doubt:
    """A structure, and how far the members of a committee part about its forces.

    Attributes:
        atoms: Structure without a calculator.
        spread: Norm of the calibrated standard deviation of each force, (N,), eV/Å.
    """

    atoms: Atoms
    spread: Array

    @property
    def largest(self) -> float:
        """Largest spread on an atom, eV/Å."""
        return float(self.spread.max())

    def about(self, threshold: float) -> str:
        """Names of the atoms above a threshold in eV/Å, most doubtful first; or ""."""
        order = np.argsort(-self.spread)
        named = [
            f"{i} ({self.atoms[i].symbol})" for i in order if self.spread[i] > threshold
        ]
        more = f" and {len(named) - 5} more" if len(named) > 5 else ""
        return ", ".join(named[:5]) + more


def doubt_about(atoms: Atoms) -> Doubt | None:
    """Doubt about a structure; None unless a committee computed its forces."""
    results = atoms.calc.results if atoms.calc is not None else {}
    if "forces_std" not in results:
        return None
    spread = np.linalg.norm(results["forces_std"], axis=1)
    return Doubt(atoms.copy(), spread)


def most_doubtful(doubts: Iterable[Doubt | None]) -> Doubt | None:
    """Doubt with the largest spread; None if there is none."""
    known = [doubt for doubt in doubts if doubt is not None]
    return max(known, key=lambda doubt: doubt.largest, default=None)


def write_doubtful(path: Path, doubts: Mapping[str, Doubt], potential: str) -> int:
    """Write structures without labels as a set, for `physml data label`.

    Args:
        path: HDF5 file to write, replaced if it exists.
        doubts: Doubtful structures by name.
        potential: Name of the potential that doubts them, for the metadata.

    Returns:
        Number of structures written; with none, no file is.

    Raises:
        DataError: The file cannot be written.
    """
    if not doubts:
        return 0
    frames = (
        replace(from_atoms(doubt.atoms, Labels()), name=name)
        for name, doubt in doubts.items()
    )
    source = f"structures that {potential} is uncertain about"
    return write(path, frames, Metadata(equilibrium=False, source=source))


@dataclass(frozen=True)
class Spread:
    """Errors of a committee on labelled frames, and what its spread said of them.

    Attributes:
        energy_errors: Mean of the members minus label, (F,), eV; of a set of relative
            energies, those of differences within a reaction.
        energy_std: Standard deviation of the energies, (F,), eV.
        force_errors: Norm of the error of the force on each atom, (A,), eV/Å.
        force_std: Norm of the standard deviation of that force, (A,), eV/Å.
    """

    energy_errors: Array
    energy_std: Array
    force_errors: Array
    force_std: Array

    def uncertainty(self) -> dict[str, float]:
        """Scales, threshold and rank correlations, for the card.

        Raises:
            DataError: The members agree everywhere: they are one potential.
        """
        if not self.energy_std.any() or not self.force_std.any():
            raise DataError("the members agree everywhere; train them with other seeds")
        forces_scale = _rms(self.force_errors) / _rms(self.force_std)
        threshold = forces_scale * np.quantile(self.force_std, 1.0 - _DOUBTED)
        return {
            "energy_scale": _rms(self.energy_errors) / _rms(self.energy_std),
            "forces_scale": forces_scale,
            "threshold_eV_per_A": float(threshold),
            "rank_correlation_energy": _rank(self.energy_errors, self.energy_std),
            "rank_correlation_forces": _rank(self.force_errors, self.force_std),
            "frames": float(len(self.energy_errors)),
        }


def make_committee(
    files: Sequence[Path], out: Path, data: RaggedSet, frames: Sequence[int]
) -> dict[str, float]:
    """Join potentials, calibrate their spread on held-out frames, write one file.

    Args:
        files: Potentials of one architecture, trained apart (other seeds, other data).
        out: Potential to write; its name on the card is that of the file.
        data: Set with energies and forces, at the level of theory of the members.
        frames: Indices of frames that no member was trained on.

    Returns:
        Scales, threshold and rank correlations, as on the card.

    Raises:
        PotentialError: The members do not belong together.
        DataError: No labels, or a file that cannot be read.
    """
    # Refuses members whose elements, cutoffs or levels of theory differ.
    calculator = PhysMLCalculator(list(files))
    calculator.calibration = Calibration()
    loaded = [load_potentials(file) for file in files]
    members = [member for found, _ in loaded for member in found]
    if any(member.config != members[0].config for member in members):
        raise PotentialError("members in one file share their architecture")
    if len(members) < 2:
        raise PotentialError("a committee needs two members or more")
    uncertainty = measure_spread(calculator, data, frames).uncertainty()
    # Errors that were measured are those of the first member alone.
    card = replace(loaded[0][1], name=out.stem, uncertainty=uncertainty, errors={})
    save_model(out, members, card)
    return uncertainty


def measure_spread(
    calculator: PhysMLCalculator, data: RaggedSet, frames: Sequence[int]
) -> Spread:
    """Errors and spread of a committee on labelled frames.

    Raises:
        DataError: The set has no energies or no forces, or frames is empty.
    """
    if not (data.has("energy") and data.has("forces")) or not len(frames):
        raise DataError(f"{data.path}: calibration needs frames with energy and forces")
    if data.metadata.baseline:
        calculator = correction_of(calculator, data)
    reactions = (
        list(groups_of(data, "reaction"))
        if data.metadata.relative
        else [""] * len(data)
    )
    energies: list[_EnergyErrors] = []
    forces: list[tuple[Array, Array]] = []
    # Frames of about one size make cheaper batches.
    order = sorted(frames, key=lambda frame: int(data.n_atoms[frame]))
    for start in range(0, len(order), _BATCH):
        indices = order[start : start + _BATCH]
        some = list(data.read(np.array(indices)))
        found = calculator.calculate_many([to_atoms(f, labels=False) for f in some])
        for index, frame, result in zip(indices, some, found, strict=True):
            if frame.energy is not None:
                members = result["energy_members"] - frame.energy
                energies.append(_EnergyErrors(reactions[index], members))
            if frame.forces is not None:
                errors = np.linalg.norm(result["forces"] - frame.forces, axis=1)
                forces.append((errors, np.linalg.norm(result["forces_std"], axis=1)))
    if data.metadata.relative:
        energies = list(_differences(energies))
    if not energies or not forces:
        raise DataError(f"{data.path}: no energy or no force is known of these frames")
    members = np.stack([one.errors for one in energies])
    force_errors, force_std = (np.concatenate(c) for c in zip(*forces, strict=True))
    return Spread(
        energy_errors=members.mean(axis=1),
        energy_std=np.array(
            [energy_spread(m, calculator.calibration) for m in members]
        ),
        force_errors=force_errors,
        force_std=force_std,
    )


@dataclass(frozen=True)
class _EnergyErrors:
    """Errors of the members' energies of a frame, or of a difference of two.

    Attributes:
        reaction: Name of the reaction that the frame is of.
        errors: Errors of the members, (K,), eV.
    """

    reaction: str
    errors: Array


def _differences(energies: Sequence[_EnergyErrors]) -> Iterator[_EnergyErrors]:
    """Errors of differences between the first frame of a reaction and its others."""
    first: dict[str, _EnergyErrors] = {}
    for one in energies:
        other = first.setdefault(one.reaction, one)
        if other is not one:
            yield _EnergyErrors(one.reaction, one.errors - other.errors)


def correction_of(calculator: PhysMLCalculator, data: RaggedSet) -> PhysMLCalculator:
    """A potential without its baseline, which came off the labels of the set as well.

    Raises:
        DataError: Another baseline, or only one of the two has one.
    """
    name = "" if calculator.baseline is None else calculator.baseline.name
    if name != data.metadata.baseline:
        raise DataError(
            f"{data.path}: labels are what {data.metadata.baseline} leaves over, and "
            f"the potential corrects {name or 'nothing'}; they do not belong together"
        )
    correction = copy(calculator)
    correction.baseline = None
    return correction


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _rank(errors: Array, spread: Array) -> float:
    from scipy.stats import spearmanr  # which takes long to import

    return float(spearmanr(np.abs(errors), spread).statistic)
