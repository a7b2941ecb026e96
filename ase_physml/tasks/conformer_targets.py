"""What a model says about the distances in molecules."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import cast, get_args

import numpy as np
import torch
from rdkit import Chem
from torch import Tensor

from ase_physml.data.frame import Array
from ase_physml.errors import PotentialError
from ase_physml.molecular_graph import MolecularGraph
from ase_physml.molecules.elements import check_elements
from ase_physml.molecules.embed import Target, heavy_atoms
from ase_physml.molecules.featurise import Featurised, Order, featurise
from ase_physml.molecules.graph import collate
from ase_physml.molecules.store import MoleculeStore
from ase_physml.potentials.predictor import Predictor
from ase_physml.potentials.registry import resolve

# What is beyond is noise of a batch, which must not decide about an embedding.
_DIGITS = 3


class DistanceModel:
    """PhysChem or HamNet, for the distances that it predicts.

    Args:
        name: Shipped name or path.

    Raises:
        PotentialError: No such file, or not a model of conformations.
    """

    def __init__(self, name: str | Path) -> None:
        path = resolve(name)
        self.predictor = _load(path, path.stat().st_mtime_ns)
        order = self.predictor.card.order
        if order not in get_args(Order):
            raise PotentialError(
                f"{name}: reads atoms in the order {order!r}, which this version does "
                "not know; upgrade ase-physml"
            )

    def featurise(self, molecule: Chem.Mol) -> Featurised:
        """The molecule as the model reads it.

        Raises:
            DataError: No heavy atom, a dummy atom, or an element that the model never
                saw.
        """
        card = self.predictor.card
        found = featurise(molecule, order=cast(Order, card.order))
        check_elements(found, card.elements, self.predictor.name)
        return found

    def targets(
        self, molecules: Sequence[Chem.Mol], features: Sequence[Featurised]
    ) -> list[Target]:
        """Distances of heavy atoms, of all molecules in one batch.

        Args:
            molecules: With explicit hydrogens.
            features: Of each.

        Raises:
            PotentialError: The model predicts no conformations.
        """
        if not molecules:
            return []
        graph = collate(MoleculeStore.of(features), self.predictor.variant)
        distances = self._distances(graph).double().numpy().round(_DIGITS)
        found, start = [], 0
        for molecule, one in zip(molecules, features, strict=True):
            count = len(one.masses) * (len(one.masses) - 1) // 2
            part = distances[start : start + count]
            found.append(Target(molecule, _as_matrix(molecule, one, part)))
            start += count
        return found

    def _distances(self, graph: MolecularGraph) -> Tensor:
        """Of the pairs of a batch, Å (P,)."""
        said = self.predictor(graph)
        if said.distances is not None:
            return said.distances
        if said.trajectory is None:
            raise PotentialError(
                f"{self.predictor.name} predicts properties, not conformations; choose "
                "another model, such as physchem_qm9.pt"
            )
        first, second = graph.pairs
        positions = said.trajectory[-1]
        lengths: Tensor = torch.linalg.norm(
            positions[first] - positions[second], dim=-1
        )
        return lengths


def _as_matrix(molecule: Chem.Mol, one: Featurised, distances: Array) -> Array:
    """From pairs in the model's order to the atoms of the molecule."""
    atoms = heavy_atoms(molecule)[one.input_index]
    later, earlier = np.tril_indices(len(atoms), -1)
    n = molecule.GetNumAtoms()
    matrix = np.full((n, n), np.nan)
    matrix[atoms[earlier], atoms[later]] = distances
    matrix[atoms[later], atoms[earlier]] = distances
    return matrix


@lru_cache(maxsize=4)
def _load(path: Path, changed: int) -> Predictor:  # noqa: ARG001 - part of the key
    return Predictor.of(path)
