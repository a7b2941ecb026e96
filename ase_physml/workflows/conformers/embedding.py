"""Conformer ensembles before any relaxation, embedded after predicted distances."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import cast, get_args

import numpy as np
import torch
from ase import Atoms
from rdkit import Chem
from torch import Tensor

from ase_physml.bonded_graph import BondedGraph
from ase_physml.chem.canonical import CanonicalForm
from ase_physml.chem.collate import collate
from ase_physml.chem.embed import (
    MAX_ATOMS,
    TIMEOUT,
    TimeLimit,
    distance_error,
    embed_predicted,
    embed_varied,
)
from ase_physml.chem.features import Featurised, Order, featurise, unseen_elements
from ase_physml.chem.force_field import has_mmff, minima
from ase_physml.chem.initial_geometry import TRIES, first_possible
from ase_physml.chem.molecules import MoleculeStore
from ase_physml.chem.smiles import heavy_atoms, structure_of
from ase_physml.chem.stereo import with_stereo_of
from ase_physml.data.frame import Array
from ase_physml.errors import DataError, PotentialError, StructureError
from ase_physml.predictor import Predictor
from ase_physml.store.registry import resolve
from ase_physml.workflows.conformers.selection import RMSD, distinct, spread
from ase_physml.workflows.relax import check_settings

ROOM_TEMPERATURE = 298.15
"""Temperature of Boltzmann weights unless another one is asked for, K."""

Prediction = tuple[Array, str]
"""Predicted distances of heavy atoms, Å (N, N), NaN elsewhere; and the reason why there
are none, "" if there are some."""

# Embedded for each conformer that is asked for, since some are copies of others.
_POOL = 3
# Before a relaxation only these are copies, Å.
_COPIES = 0.1
# What is beyond is noise of a batch, which must not decide about an embedding.
_DIGITS = 3


@dataclass(frozen=True)
class ConformerSettings:
    """Settings of the conformers of a molecule.

    Attributes:
        n: Number of conformers, at most.
        seed: Seed of the embeddings.
        threshold: RMSD below which two conformers are one, Å; after a relaxation only
            if their energies agree.
        temperature: Temperature of the Boltzmann weights, K.
        fmax: Largest force left by a relaxation, eV/Å.
        steps: Number of steps of a relaxation, at most.
        batch_size: Number of structures relaxed at a time.
        max_atoms: Number of atoms but hydrogens, at most.
        timeout: Time limit of the embeddings, s.

    Raises:
        StructureError: A value that is out of its range.
    """

    n: int = 10
    seed: int = 0
    threshold: float = 0.2
    temperature: float = ROOM_TEMPERATURE
    fmax: float = 0.03
    steps: int = 300
    batch_size: int = 256
    max_atoms: int = MAX_ATOMS
    timeout: float = TIMEOUT

    def __post_init__(self) -> None:
        for name in ("n", "threshold", "temperature", "max_atoms", "timeout"):
            if not getattr(self, name) > 0:
                raise StructureError(
                    f"{name} must be above 0, got {getattr(self, name)}"
                )
        check_settings("BFGS", self.fmax, self.steps)
        if self.seed < 0:
            raise StructureError(f"seed must be 0 or more, got {self.seed}")


@dataclass
class ConformerEnsemble:
    """Conformers of one molecule, from their embedding to the end.

    Attributes:
        smiles: SMILES as given.
        molecule: Molecule with explicit hydrogens, its atoms in the order of the
            structures, its stereochemistry that of all of them.
        distances: Predicted distances of heavy atoms, Å (N, N); NaN elsewhere.
        structures: Structures, best first; see `generate_conformers`.
        dropped: Reasons why conformers were left out that are no copies of others.
        note: Reason why nothing is predicted, "" if something is.
    """

    smiles: str
    molecule: Chem.Mol
    distances: Array
    structures: list[Atoms] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    note: str = ""

    def add(self, positions: Array) -> None:
        """Add a structure with positions, Å (N, 3), that says what molecule it is."""
        atoms = structure_of(self.molecule, positions)
        atoms.info["smiles"] = self.smiles
        atoms.info["isomer"] = Chem.MolToSmiles(Chem.RemoveHs(self.molecule))
        self.structures.append(atoms)


def embed_ensemble(
    smiles: str,
    molecule: Chem.Mol,
    form: CanonicalForm,
    prediction: Prediction,
    settings: ConformerSettings,
    *,
    relax: bool,
) -> ConformerEnsemble:
    """Ensemble of geometries of one stereoisomer, the predicted one first.

    Args:
        smiles: SMILES as given.
        molecule: Molecule with explicit hydrogens, its atoms in the order that counts.
        form: Canonical form of it, in which all are embedded.
        prediction: Prediction for that form.
        settings: Settings of the conformers.
        relax: They will be relaxed: geometries to start from, up to half as many again
            as conformers are asked for, in place of conformers.

    Raises:
        DataError: There is none, none in time, or the isomer cannot exist.
    """
    distances, note = prediction
    limit = TimeLimit(settings.timeout)
    tries = (
        embed_predicted(form.molecule, distances, settings.seed + k, limit)
        for k in range(TRIES)
    )
    first = first_possible(form.molecule, tries, settings.seed, limit)
    geometries, dropped = [first], []
    if settings.n > 1:
        isomer = with_stereo_of(form.molecule, first)
        geometries += _pool(isomer, distances, settings, limit)
        if limit.over:
            dropped = [f"no time for more conformers after {settings.timeout:g} s"]
        if relax:
            geometries = _worth_relaxing(isomer, geometries, settings, limit)
        else:
            error = partial(distance_error, distances)
            geometries = _worth_keeping(isomer, geometries, settings, error)
    as_given = [form.as_given(positions) for positions in geometries]
    found = ConformerEnsemble(
        smiles,
        with_stereo_of(molecule, as_given[0]),
        form.pairs_as_given(distances),
        dropped=dropped,
        note=note,
    )
    for positions in as_given:
        found.add(positions)
    return found


def _pool(
    isomer: Chem.Mol, distances: Array, settings: ConformerSettings, limit: TimeLimit
) -> list[Array]:
    """Further geometries, nearest to the prediction first; fewer without time."""
    count = _POOL * settings.n
    try:
        pool = embed_varied(isomer, distances, count, settings.seed, limit)
    except DataError:
        return []
    return sorted(pool, key=partial(distance_error, distances))


def _worth_keeping(
    isomer: Chem.Mol,
    geometries: Sequence[Array],
    settings: ConformerSettings,
    error: Callable[[Array], float],
) -> list[Array]:
    """Conformers that stay as they are, the first and then by their error.

    Those that differ in heavy atoms come before those that differ in OH and NH.
    """
    n, threshold = settings.n, settings.threshold
    heavy = distinct(geometries, RMSD(isomer, polar=False), threshold, n)
    rest = [k for k in range(len(geometries)) if k not in heavy]
    order = [geometries[k] for k in (*heavy, *rest)]
    kept = distinct(order, RMSD(isomer), threshold, n)
    first, *others = [order[k] for k in kept]
    return [first, *sorted(others, key=error)]


def _worth_relaxing(
    isomer: Chem.Mol,
    geometries: Sequence[Array],
    settings: ConformerSettings,
    limit: TimeLimit,
) -> list[Array]:
    """First geometry, some far from it and from each other, and the lowest in MMFF94.

    Force fields rank conformers poorly, but know better than chance where hydrogens
    bond; the diverse ones are there for where it errs.
    """
    n, rmsd = settings.n, RMSD(isomer)
    low: list[Array] = []
    if has_mmff(isomer):
        ranked = sorted(
            minima(isomer, _in_time(geometries, limit)), key=lambda one: one[0]
        )
        energies = [energy for energy, _ in ranked]
        relaxed = [positions for _, positions in ranked]
        kept = distinct(relaxed, rmsd, settings.threshold, n, energies)
        low = [relaxed[k] for k in kept]
    # As many in all as there would be without a force field.
    most = max(n + n // 2 - len(low), 1)
    diverse = [geometries[k] for k in spread(geometries, rmsd, _COPIES, most)]
    return [*diverse, *low]


def _in_time(geometries: Sequence[Array], limit: TimeLimit) -> Iterator[Array]:
    for positions in geometries:
        if limit.over:
            return
        yield positions


class DistanceModel:
    """Distances of heavy atoms as PhysChem or HamNet predicts them.

    Args:
        name: Shipped name or path of a model of conformations.

    Raises:
        PotentialError: No such file, or not a model of conformations.
    """

    def __init__(self, name: str | Path) -> None:
        path = resolve(name)
        self._predictor = _load(path, path.stat().st_mtime_ns)
        order = self._predictor.card.order
        if order not in get_args(Order):
            raise PotentialError(
                f"{name}: reads atoms in the order {order!r}, which this version does "
                "not know; upgrade ase-physml"
            )

    def predict(self, molecules: Sequence[Chem.Mol]) -> list[Prediction | Exception]:
        """Predictions for all molecules in one batch, or why one cannot be read.

        Args:
            molecules: Molecules with explicit hydrogens.

        Raises:
            PotentialError: The model predicts no conformations.
        """
        found = [self._featurised(molecule) for molecule in molecules]
        seen = [
            one for one in found if isinstance(one, Featurised) and not self._doubt(one)
        ]
        distances = iter(self._distances(seen))
        return [
            one if isinstance(one, Exception) else self._prediction(m, one, distances)
            for m, one in zip(molecules, found, strict=True)
        ]

    def _featurised(self, molecule: Chem.Mol) -> Featurised | Exception:
        try:
            return featurise(molecule, order=cast(Order, self._predictor.card.order))
        except Exception as error:  # RDKit raises anything
            return error

    def _doubt(self, molecule: Featurised) -> str:
        """Reason why no distances of a molecule are predicted, "" if they are."""
        new = unseen_elements(molecule, self._predictor.card.elements)
        if not new:
            return ""
        return (
            f"{self._predictor.name} was not trained on {', '.join(new)}; geometries "
            "are RDKit's own (ETKDGv3)"
        )

    def _distances(self, molecules: Sequence[Featurised]) -> Iterator[Array]:
        """Distances of the pairs of each molecule, Å (n (n - 1) / 2,)."""
        if not molecules:
            return iter(())
        store = MoleculeStore.of(molecules)
        graph = collate(store, self._predictor.variant)
        pairs = self._pair_distances(graph).double().numpy().round(_DIGITS)
        counts = store.n_atoms * (store.n_atoms - 1) // 2
        return iter(np.split(pairs, np.cumsum(counts)[:-1]))

    def _pair_distances(self, graph: BondedGraph) -> Tensor:
        """Distances of all pairs of a batch, Å (P,)."""
        said = self._predictor(graph)
        if said.distances is not None:
            return said.distances
        if said.trajectory is None:
            raise PotentialError(
                f"{self._predictor.name} predicts properties, not conformations; "
                "choose another model, such as physchem_qm9.pt"
            )
        first, second = graph.pairs
        positions = said.trajectory[-1]
        lengths: Tensor = torch.linalg.norm(
            positions[first] - positions[second], dim=-1
        )
        return lengths

    def _prediction(
        self, molecule: Chem.Mol, features: Featurised, distances: Iterator[Array]
    ) -> Prediction:
        """Prediction for a molecule, of the next distances if the model knows it."""
        n = molecule.GetNumAtoms()
        matrix = np.full((n, n), np.nan)
        doubt = self._doubt(features)
        if not doubt:
            # From pairs in the model's order to the atoms of the molecule.
            atoms = heavy_atoms(molecule)[features.input_index]
            later, earlier = np.tril_indices(len(atoms), -1)
            pairs = next(distances)
            matrix[atoms[earlier], atoms[later]] = pairs
            matrix[atoms[later], atoms[earlier]] = pairs
        return matrix, doubt


@lru_cache(maxsize=4)
def _load(path: Path, changed: int) -> Predictor:  # noqa: ARG001 - part of the key
    return Predictor.of(path)
