"""Conformers of molecules from their SMILES: predicted, embedded, relaxed."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator
from rdkit import Chem

from ase_physml.calculators.names import CalculatorLike, as_calculator
from ase_physml.chem.bonds import keeps_bonds
from ase_physml.chem.canonical import CanonicalForm, canonical_form
from ase_physml.chem.embed import TimeLimit, check_size, distance_error, embed_varied
from ase_physml.chem.smiles import with_hydrogens
from ase_physml.chem.stereo import keeps_stereo
from ase_physml.errors import PhysMLError, StructureError
from ase_physml.workflows.conformers.embedding import (
    ROOM_TEMPERATURE,
    ConformerEnsemble,
    ConformerSettings,
    DistanceModel,
    embed_ensemble,
)
from ase_physml.workflows.conformers.selection import RMSD, boltzmann_weights, distinct
from ase_physml.workflows.relax import Relaxed
from ase_physml.workflows.relax_many import relax_many

# Tried where every conformer changed in the relaxation.
_SPARES = 3
# Longer SMILES are cut short in messages.
_LONG = 100


def generate_conformers(
    smiles: str,
    n: int = 10,
    model: str | Path = "physchem_qm9.pt",
    relax: CalculatorLike | None = None,
    seed: int = 0,
    *,
    threshold: float = ConformerSettings.threshold,
    temperature: float = ROOM_TEMPERATURE,
    fmax: float = ConformerSettings.fmax,
    steps: int = ConformerSettings.steps,
    max_atoms: int = ConformerSettings.max_atoms,
    timeout: float = ConformerSettings.timeout,
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
    those of ETKDGv3, with a warning. A stereoisomer that cannot exist is refused (see
    `ase_physml.chem.initial_geometry`). SMILES with isotopes give structures with
    masses.

    With ``relax``, up to half as many again are relaxed: the predicted one, the lowest
    of MMFF94, and some far from these. Copies are left out when all have an energy.

    Args:
        smiles: SMILES of one molecule. Ions and radicals get geometries; whether they
            can be relaxed is for the calculator to say, which finds initial charges and
            magnetic moments on them. PhysML potentials refuse both.
        n: Number of conformers, at most; rigid molecules have fewer.
        model: PhysChem or HamNet model of conformations, shipped name or path.
        relax: Calculator, or what `make_calculator` makes one of ("qm9.pt",
            "tblite:GFN2-xTB"), to relax all conformers together; None leaves them.
        seed: Seed of the embeddings; the same seed gives the same conformers.
        threshold: RMSD below which two conformers are one, symmetry-aware, of all atoms
            but hydrogens on carbon, Å. After a relaxation their energies must agree
            within 10 meV besides. The lower in energy stays, or else the one nearer to
            the prediction.
        temperature: Temperature of the Boltzmann weights, K.
        fmax: Largest force left by the relaxation, eV/Å.
        steps: Number of steps of the relaxation, at most.
        max_atoms: Number of atoms but hydrogens, at most; times go with the third
            power.
        timeout: Time limit of the embeddings, s.

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
    settings = ConformerSettings(
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
    settings: ConformerSettings,
) -> list[ConformerEnsemble | PhysMLError]:
    """Conformers of several molecules, predicted together and relaxed together.

    Args:
        molecules: SMILES; or single molecules of RDKit with explicit hydrogens, whose
            atoms keep their order.
        model: Model of conformations, as of `generate_conformers`.
        relax: Calculator, its name, or None.
        settings: Settings of the conformers of each molecule.

    Returns:
        Conformers of each molecule, or why there are none.

    Raises:
        PhysMLError: Model or calculator cannot be used at all.
    """
    calculator = None if relax is None else as_calculator(relax)
    found = _embed(
        molecules, DistanceModel(model), settings, relax=calculator is not None
    )
    if calculator is not None:
        embedded = [one for one in found if isinstance(one, ConformerEnsemble)]
        changed = _relax(embedded, calculator, settings)
        _relax_spares(changed, calculator, settings)
    return [_finish(one, settings) for one in found]


def _embed(
    given: Sequence[str | Chem.Mol],
    model: DistanceModel,
    settings: ConformerSettings,
    *,
    relax: bool,
) -> list[ConformerEnsemble | PhysMLError]:
    found: dict[int, ConformerEnsemble | PhysMLError] = {}
    named = [one if isinstance(one, str) else _smiles(one) for one in given]
    read: dict[int, tuple[Chem.Mol, CanonicalForm]] = {}
    for index, one in enumerate(given):
        try:
            read[index] = _read(one, settings.max_atoms)
        except Exception as error:
            found[index] = _as_ours(named[index], error)
    predictions = model.predict([form.molecule for _, form in read.values()])
    for (index, (molecule, form)), predicted in zip(
        read.items(), predictions, strict=True
    ):
        smiles = named[index]
        if isinstance(predicted, Exception):
            found[index] = _as_ours(smiles, predicted)
            continue
        try:
            found[index] = embed_ensemble(
                smiles, molecule, form, predicted, settings, relax=relax
            )
        except Exception as error:
            found[index] = _as_ours(smiles, error)
    return [found[index] for index in range(len(given))]


def _read(given: str | Chem.Mol, max_atoms: int) -> tuple[Chem.Mol, CanonicalForm]:
    molecule = with_hydrogens(given) if isinstance(given, str) else given
    check_size(molecule.GetNumHeavyAtoms(), max_atoms)
    return molecule, canonical_form(molecule)


def _smiles(molecule: Chem.Mol) -> str:
    smiles: str = Chem.MolToSmiles(Chem.RemoveHs(molecule))
    return smiles


def _as_ours(smiles: str, error: Exception) -> PhysMLError:
    """Error of one molecule: RDKit raises anything, and the others shall not pay."""
    named = smiles if len(smiles) <= _LONG else f"{smiles[:_LONG]}..."
    if not isinstance(error, PhysMLError):
        return StructureError(f"{named}: {type(error).__name__}: {error}")
    known = smiles in str(error) or repr(smiles) in str(error)
    return error if known else type(error)(f"{named}: {error}")


def _relax(
    ensembles: Sequence[ConformerEnsemble],
    calculator: Calculator,
    settings: ConformerSettings,
) -> list[ConformerEnsemble]:
    """Relax the structures of all together, in place; the best come first.

    Those that fail, or become another molecule, are dropped.

    Returns:
        Ensembles of which a structure became another molecule.
    """
    outcomes = iter(
        relax_many(
            [atoms for one in ensembles for atoms in one.structures],
            calculator,
            fmax=settings.fmax,
            steps=settings.steps,
            batch_size=settings.batch_size,
        )
    )
    changed = []
    for one in ensembles:
        relaxed, lost = [], False
        for start in one.structures:
            outcome = next(outcomes)
            reason = _problem(one.molecule, outcome)
            if isinstance(outcome, Relaxed) and not reason:
                relaxed.append(labelled(start, outcome))
            else:
                one.dropped.append(reason)
                lost |= isinstance(outcome, Relaxed)
        one.structures = sorted(relaxed, key=lambda atoms: atoms.get_potential_energy())
        changed += [one] if lost else []
    return changed


def _relax_spares(
    changed: Sequence[ConformerEnsemble],
    calculator: Calculator,
    settings: ConformerSettings,
) -> None:
    """Start again, without the prediction's torsions, where no conformer is left.

    A wrong prediction can bend a cage so far that it relaxes to another molecule.
    """
    lost = [one for one in changed if not one.structures]
    for one in lost:
        limit = TimeLimit(settings.timeout)
        for positions in embed_varied(
            one.molecule, one.distances, _SPARES, settings.seed + 1, limit
        ):
            one.add(positions)
    _relax(lost, calculator, settings)


def _problem(molecule: Chem.Mol, outcome: Relaxed | Exception) -> str:
    """Reason why a relaxation gave no conformer of the molecule, "" if it did."""
    if isinstance(outcome, PhysMLError):
        return str(outcome)
    if isinstance(outcome, Exception):
        return f"{type(outcome).__name__}: {outcome}"
    if not keeps_bonds(molecule, outcome.atoms.positions):
        return "a conformer broke a bond in the relaxation and is left out"
    if not keeps_stereo(molecule, outcome.atoms.positions):
        return (
            "a conformer changed its stereochemistry in the relaxation and is left out"
        )
    return ""


def labelled(start: Atoms, outcome: Relaxed) -> Atoms:
    """Relaxed structure with its energy and forces, but without a calculator."""
    atoms: Atoms = start.copy()
    atoms.positions = outcome.atoms.positions
    atoms.info["converged"] = outcome.converged
    atoms.calc = SinglePointCalculator(
        atoms, energy=outcome.energies[-1], forces=outcome.atoms.get_forces()
    )
    return atoms


def _finish(
    one: ConformerEnsemble | PhysMLError, settings: ConformerSettings
) -> ConformerEnsemble | PhysMLError:
    """Ensemble without copies, or why none is left."""
    if isinstance(one, PhysMLError):
        return one
    if not one.structures:
        return StructureError(f"{one.smiles}: {one.dropped[0]}")
    rmsd = RMSD(one.molecule)
    kept = distinct(
        [atoms.positions for atoms in one.structures],
        rmsd,
        settings.threshold,
        settings.n,
        _energies(one.structures),
    )
    one.structures = [one.structures[k] for k in kept]
    _describe(one, rmsd, settings.temperature)
    return one


def _energies(structures: Sequence[Atoms]) -> list[float] | None:
    """Energies, eV; None of what has not been relaxed."""
    if structures[0].calc is None:
        return None
    return [atoms.get_potential_energy() for atoms in structures]


def _describe(one: ConformerEnsemble, rmsd: RMSD, temperature: float) -> None:
    """Write into ``info`` what `generate_conformers` says of each structure."""
    best = one.structures[0]
    for atoms in one.structures:
        if not one.note:
            error = distance_error(one.distances, atoms.positions)
            atoms.info["distance_error"] = error
        atoms.info["rmsd"] = rmsd(atoms.positions, best.positions)
    energies = _energies(one.structures)
    if energies is None:
        return
    weights = boltzmann_weights(np.array(energies), temperature)
    for atoms, energy, weight in zip(one.structures, energies, weights, strict=True):
        atoms.info["relative_energy"] = float(energy - energies[0])
        atoms.info["boltzmann_weight"] = float(weight)
