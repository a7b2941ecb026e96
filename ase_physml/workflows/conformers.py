"""Conformers of molecules from their SMILES: predicted, embedded, relaxed."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms
from rdkit import Chem

from ase_physml.calculators.names import CalculatorLike, as_calculator
from ase_physml.chem.embed import with_hydrogens
from ase_physml.chem.etkdg import check_size
from ase_physml.chem.normal_form import normal_form
from ase_physml.errors import PhysMLError, StructureError
from ase_physml.workflows.conformer_choice import boltzmann_weights, distinct
from ase_physml.workflows.conformer_ensemble import (
    ROOM_TEMPERATURE,
    Ensemble,
    Settings,
    as_atoms,
    relax_ensembles,
)
from ase_physml.workflows.conformer_starts import Start, ensemble_of
from ase_physml.workflows.conformer_targets import DistanceModel

# Longer SMILES are cut short in messages.
_LONG = 100


@dataclass(frozen=True)
class Conformers:
    """Conformers of one molecule.

    Attributes:
        smiles: As given.
        structures: Best first; see `generate_conformers`.
        dropped: Why conformers were left out that are no copies of others.
        note: That the model knows nothing of an element, "" if it knows all.
    """

    smiles: str
    structures: list[Atoms]
    dropped: list[str] = field(default_factory=list)
    note: str = ""


def generate_conformers(
    smiles: str,
    n: int = 10,
    model: str | Path = "physchem_qm9.pt",
    relax: CalculatorLike | None = None,
    seed: int = 0,
    *,
    threshold: float = Settings.threshold,
    temperature: float = ROOM_TEMPERATURE,
    fmax: float = Settings.fmax,
    steps: int = Settings.steps,
    max_atoms: int = Settings.max_atoms,
    timeout: float = Settings.timeout,
) -> list[Atoms]:
    """Conformers of a molecule, with hydrogens, best first.

    A model predicts the distances of heavy atoms. The first geometry follows them
    closely; in the others pairs of atoms three or more bonds apart move. With ``n=1``
    there is only the predicted one. Stereocentres and double bonds are as in the
    SMILES; conformers that lose them in a relaxation are dropped, with a warning. If
    the SMILES leaves some open, they come out as in the predicted conformer and are the
    same in all others: ``info["isomer"]`` says how. Only the hydrogen of an imine
    ``C=N[H]`` may be on either side, unless the SMILES says which. Mirror images that
    no bond tells apart, as of gauche butane, count as two, and weigh as two.

    However its SMILES is written, a molecule gets the same geometries, and its mirror
    image their mirror images. Where the model knows nothing of an element, they are
    those of ETKDGv3, with a warning. A stereoisomer that cannot exist is refused, see
    `ase_physml.chem.strain`. SMILES with isotopes give structures with masses.

    With ``relax``, up to half as many again are relaxed: the predicted one, the lowest
    of MMFF94, and some far from these. Copies are left out when all have an energy.

    Args:
        smiles: Of one molecule. Ions and radicals get geometries; whether they can be
            relaxed is for the calculator to say, which finds initial charges and
            magnetic moments on them. PhysML potentials refuse both.
        n: Conformers at most; rigid molecules have fewer.
        model: PhysChem or HamNet model of conformations, shipped name or path.
        relax: Calculator, or what `make_calculator` makes one of ("qm9.pt",
            "tblite:GFN2-xTB"), to relax all conformers together; None leaves them.
        seed: Of the embeddings; the same seed gives the same conformers.
        threshold: Conformers nearer than this are one: symmetry-aware RMSD of all atoms
            but hydrogens on carbon, Å. After a relaxation their energies must agree
            within 10 meV besides. The lower in energy stays, or else the one nearer to
            the prediction.
        temperature: Of the Boltzmann weights, K.
        fmax: Largest force left by the relaxation, eV/Å.
        steps: Of the relaxation, at most.
        max_atoms: Without hydrogens, that a molecule may have; times go with the third
            power.
        timeout: Of the embeddings, s.

    Returns:
        Structures in the atom order of the SMILES, hydrogens last, in the order of
        energy or, unrelaxed, of agreement with the prediction. ``info`` has ``smiles``;
        ``isomer``, with all stereochemistry; ``distance_error``, the root mean square
        deviation of heavy-atom distances from the prediction, Å, if there is one;
        ``rmsd`` to the first one, Å. After a relaxation also ``relative_energy`` (eV),
        ``boltzmann_weight`` and ``converged``; energy and forces are those that
        `Atoms.get_potential_energy` and `Atoms.get_forces` give.

    Raises:
        PhysMLError: Not a SMILES of one molecule, no geometry with its
            stereochemistry, a model that cannot be used, or a calculator that refuses
            the molecule.
    """
    if not isinstance(smiles, str):
        raise StructureError(
            f"generate_conformers is for one SMILES, got a {type(smiles).__name__}; "
            "call it for each, or `physml conformers` with a file of them"
        )
    settings = Settings(
        n,
        seed,
        threshold,
        temperature,
        fmax,
        steps,
        max_atoms=max_atoms,
        timeout=timeout,
    )
    (found,) = conformers_of([smiles], model, relax, settings)
    if isinstance(found, Exception):
        raise found
    for reason in filter(None, (found.note, *found.dropped)):
        warnings.warn(f"{smiles}: {reason}", stacklevel=2)
    return found.structures


def conformers_of(
    molecules: Sequence[str | Chem.Mol],
    model: str | Path,
    relax: CalculatorLike | None,
    settings: Settings,
) -> list[Conformers | PhysMLError]:
    """Conformers of several molecules, predicted together and relaxed together.

    Args:
        molecules: SMILES; or single molecules of RDKit with explicit hydrogens, whose
            atoms keep their order.
        model: As of `generate_conformers`, as is ``relax``.
        relax: Calculator, its name, or None.
        settings: Of each molecule.

    Returns:
        For each molecule its conformers, or why there are none.

    Raises:
        PhysMLError: Model or calculator cannot be used at all.
    """
    calculator = None if relax is None else as_calculator(relax)
    ensembles = _embed(
        molecules, DistanceModel(model), settings, relax=calculator is not None
    )
    started = [one for one in ensembles if isinstance(one, Ensemble)]
    for one in started:
        one.structures = [as_atoms(one, geometry) for geometry in one.geometries]
    if calculator is not None:
        relax_ensembles(started, calculator, settings)
    return [_finish(one, settings) for one in ensembles]


def _embed(
    given: Sequence[str | Chem.Mol],
    model: DistanceModel,
    settings: Settings,
    *,
    relax: bool,
) -> list[Ensemble | PhysMLError]:
    outcomes: dict[int, Ensemble | PhysMLError] = {}
    starts: dict[int, Start] = {}
    for index, one in enumerate(given):
        smiles = one if isinstance(one, str) else _smiles(one)
        try:
            starts[index] = _start(smiles, one, model, settings)
        except Exception as error:
            outcomes[index] = _as_ours(smiles, error)
    targets = model.targets(
        [start.form.molecule for start in starts.values()],
        [start.features for start in starts.values()],
    )
    for (index, start), target in zip(starts.items(), targets, strict=True):
        try:
            outcomes[index] = ensemble_of(start, target, settings, relax=relax)
        except Exception as error:
            outcomes[index] = _as_ours(start.smiles, error)
    return [outcomes[index] for index in range(len(given))]


def _smiles(molecule: Chem.Mol) -> str:
    smiles: str = Chem.MolToSmiles(Chem.RemoveHs(molecule))
    return smiles


def _as_ours(smiles: str, error: Exception) -> PhysMLError:
    """RDKit raises anything; the other molecules should not pay for it."""
    named = smiles if len(smiles) <= _LONG else f"{smiles[:_LONG]}..."
    if not isinstance(error, PhysMLError):
        return StructureError(f"{named}: {type(error).__name__}: {error}")
    known = smiles in str(error) or repr(smiles) in str(error)
    return error if known else type(error)(f"{named}: {error}")


def _start(
    smiles: str, given: str | Chem.Mol, model: DistanceModel, settings: Settings
) -> Start:
    molecule = with_hydrogens(given) if isinstance(given, str) else given
    check_size(molecule.GetNumHeavyAtoms(), settings.max_atoms)
    form = normal_form(molecule)
    features = model.featurise(form.molecule)
    return Start(smiles, molecule, form, features, model.doubt(features))


def _finish(
    one: Ensemble | PhysMLError, settings: Settings
) -> Conformers | PhysMLError:
    if isinstance(one, PhysMLError):
        return one
    if not one.structures:
        return StructureError(f"{one.smiles}: {one.dropped[0]}")
    kept = distinct(
        [atoms.positions for atoms in one.structures],
        one.rmsd,
        settings.threshold,
        settings.n,
        _energies(one.structures),
    )
    structures = [one.structures[k] for k in kept]
    _describe(one, structures, settings.temperature)
    return Conformers(one.smiles, structures, one.dropped, one.note)


def _energies(structures: Sequence[Atoms]) -> list[float] | None:
    """eV, None of what has not been relaxed."""
    if structures[0].calc is None:
        return None
    return [atoms.get_potential_energy() for atoms in structures]


def _describe(one: Ensemble, structures: Sequence[Atoms], temperature: float) -> None:
    best = structures[0]
    for atoms in structures:
        if not one.note:
            atoms.info["distance_error"] = one.target.error(atoms.positions)
        atoms.info["rmsd"] = one.rmsd(atoms.positions, best.positions)
    if best.calc is None:
        return
    energies = np.array([atoms.get_potential_energy() for atoms in structures])
    weights = boltzmann_weights(energies, temperature)
    for atoms, energy, weight in zip(structures, energies, weights, strict=True):
        atoms.info["relative_energy"] = float(energy - energies[0])
        atoms.info["boltzmann_weight"] = float(weight)
