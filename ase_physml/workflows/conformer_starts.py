"""Geometries of a molecule: the predicted one, and others that are worth having."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rdkit import Chem

from ase_physml.chem.embed import Target, follow, vary
from ase_physml.chem.etkdg import Clock
from ase_physml.chem.featurise import Featurised
from ase_physml.chem.force_field import has_mmff, minima
from ase_physml.chem.normal_form import NormalForm
from ase_physml.chem.stereo import with_stereo_of
from ase_physml.chem.strain import TRIES, first_possible
from ase_physml.data.frame import Array
from ase_physml.errors import DataError
from ase_physml.workflows.conformer_choice import RMSD, distinct, spread
from ase_physml.workflows.conformer_ensemble import Ensemble, Settings

# Embedded for each conformer that is asked for, since some are copies of others.
_POOL = 3
# Before a relaxation only these are copies, Å.
_COPIES = 0.1


@dataclass(frozen=True)
class Start:
    """A molecule that is to get conformers.

    Attributes:
        smiles: As given.
        given: With explicit hydrogens, atoms in the order that counts.
        form: Its normal form.
        features: Of that, as the model reads it.
        note: See `Ensemble`.
    """

    smiles: str
    given: Chem.Mol
    form: NormalForm
    features: Featurised
    note: str = ""


def ensemble_of(
    start: Start, target: Target, settings: Settings, *, relax: bool
) -> Ensemble:
    """Geometries of one stereoisomer, the predicted one first.

    Args:
        start: The molecule.
        target: What is predicted of its normal form, in which all are embedded.
        settings: Of the conformers.
        relax: They will be relaxed: geometries to start from, up to half as many again
            as conformers are asked for, in place of conformers.

    Raises:
        DataError: There is none, none in time, or the isomer cannot exist.
    """
    clock = Clock(settings.timeout)
    tries = (follow(target, settings.seed + k, clock) for k in range(TRIES))
    first = first_possible(target.molecule, tries, settings.seed, clock)
    isomer = Target(with_stereo_of(target.molecule, first), target.distances)
    rmsd = RMSD(isomer.molecule)
    found, dropped = [first], []
    if settings.n > 1:
        pool = _pool(isomer, settings, clock)
        if clock.over:
            dropped = [f"no time for more conformers after {settings.timeout:g} s"]
        choose = _to_relax if relax else _to_keep
        found = choose(isomer, [first, *pool], rmsd, settings, clock)
    geometries = [start.form.as_given(positions) for positions in found]
    molecule = with_stereo_of(start.given, geometries[0])
    distances = start.form.pairs_as_given(target.distances)
    return Ensemble(
        start.smiles,
        Target(molecule, distances),
        RMSD(molecule),
        geometries,
        start.note,
        dropped=dropped,
    )


def _pool(isomer: Target, settings: Settings, clock: Clock) -> list[Array]:
    """Others than the first, nearest to the prediction first; fewer without time."""
    try:
        pool = vary(isomer, _POOL * settings.n, settings.seed, clock)
    except DataError:
        return []
    return sorted(pool, key=isomer.error)


def _to_keep(
    isomer: Target,
    geometries: Sequence[Array],
    rmsd: RMSD,
    settings: Settings,
    clock: Clock,  # noqa: ARG001 - as of the other choice
) -> list[Array]:
    """Those that differ in heavy atoms come before those that differ in OH and NH."""
    n, threshold = settings.n, settings.threshold
    heavy = distinct(geometries, RMSD(isomer.molecule, polar=False), threshold, n)
    rest = [k for k in range(len(geometries)) if k not in heavy]
    order = [geometries[k] for k in (*heavy, *rest)]
    first, *others = [order[k] for k in distinct(order, rmsd, threshold, n)]
    return [first, *sorted(others, key=isomer.error)]


def _to_relax(
    isomer: Target,
    geometries: Sequence[Array],
    rmsd: RMSD,
    settings: Settings,
    clock: Clock,
) -> list[Array]:
    """The first, some far from it and from each other, and the lowest in MMFF94.

    Force fields rank conformers poorly, but know better than chance where hydrogens
    bond; the diverse ones are there for where it errs.
    """
    n = settings.n
    low: list[Array] = []
    if has_mmff(isomer.molecule):
        ranked = sorted(
            minima(isomer.molecule, _in_time(geometries, clock)), key=lambda one: one[0]
        )
        energies = [energy for energy, _ in ranked]
        relaxed = [positions for _, positions in ranked]
        kept = distinct(relaxed, rmsd, settings.threshold, n, energies)
        low = [relaxed[k] for k in kept]
    # As many in all as there would be without a force field.
    most = max(n + n // 2 - len(low), 1)
    diverse = [geometries[k] for k in spread(geometries, rmsd, _COPIES, most)]
    return [*diverse, *low]


def _in_time(geometries: Sequence[Array], clock: Clock) -> Iterator[Array]:
    for positions in geometries:
        if clock.over:
            return
        yield positions
