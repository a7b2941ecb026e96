"""What a model says about the distances in molecules."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import cast, get_args

import numpy as np
import torch
from rdkit import Chem
from torch import Tensor

from ase_physml.bonded_graph import BondedGraph
from ase_physml.chem.collate import collate
from ase_physml.chem.elements import unseen_elements
from ase_physml.chem.embed import Target, heavy_atoms
from ase_physml.chem.featurise import Featurised, Order, featurise
from ase_physml.chem.store import MoleculeStore
from ase_physml.data.frame import Array
from ase_physml.errors import PotentialError
from ase_physml.predictor import Predictor
from ase_physml.store.registry import resolve

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
            DataError: No heavy atom, or a dummy atom.
        """
        return featurise(molecule, order=cast(Order, self.predictor.card.order))

    def doubt(self, features: Featurised) -> str:
        """Why no distances of a molecule are predicted; "" if they are."""
        new = unseen_elements(features, self.predictor.card.elements)
        if not new:
            return ""
        return (
            f"{self.predictor.name} was not trained on {', '.join(new)}; geometries "
            "are RDKit's own (ETKDGv3)"
        )

    def targets(
        self, molecules: Sequence[Chem.Mol], features: Sequence[Featurised]
    ) -> list[Target]:
        """Distances of heavy atoms, of all molecules in one batch.

        Args:
            molecules: With explicit hydrogens.
            features: Of each. Where there is a `doubt`, all distances are NaN.

        Raises:
            PotentialError: The model predicts no conformations.
        """
        known = [one for one in features if not self.doubt(one)]
        if not known:
            return [_as_target(molecule) for molecule in molecules]
        graph = collate(MoleculeStore.of(known), self.predictor.variant)
        distances = self._distances(graph).double().numpy().round(_DIGITS)
        found, start = [], 0
        for molecule, one in zip(molecules, features, strict=True):
            if self.doubt(one):
                found.append(_as_target(molecule))
                continue
            count = len(one.masses) * (len(one.masses) - 1) // 2
            part = distances[start : start + count]
            found.append(_as_target(molecule, one.input_index, part))
            start += count
        return found

    def _distances(self, graph: BondedGraph) -> Tensor:
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


def _as_target(
    molecule: Chem.Mol, order: Array | None = None, distances: Array | None = None
) -> Target:
    """From pairs in the model's order to the atoms of the molecule."""
    n = molecule.GetNumAtoms()
    matrix = np.full((n, n), np.nan)
    if order is not None and distances is not None:
        atoms = heavy_atoms(molecule)[order]
        later, earlier = np.tril_indices(len(atoms), -1)
        matrix[atoms[earlier], atoms[later]] = distances
        matrix[atoms[later], atoms[earlier]] = distances
    return Target(molecule, matrix)


@lru_cache(maxsize=4)
def _load(path: Path, changed: int) -> Predictor:  # noqa: ARG001 - part of the key
    return Predictor.of(path)
