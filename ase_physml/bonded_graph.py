"""Bonds instead of distances: the input of PhysChem and HamNet.

A `BondedGraph` is ragged like `EdgeList`: the atoms of all molecules one after the
other, index lists for everything between them. Hydrogens are implicit. Whoever builds
one (`ase_physml.chem`) puts the atoms of each molecule into canonical order, so
that an LSTM that reads them gives the same for every input order; `input_index` leads
back.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, Self

from torch import Tensor

from ase_physml.segment import offsets

Variant = Literal["paper", "repo"]
"""39 atom features and true masses; or 34, without hydrogens, and 50 u for others."""


def variant_of(atom_features: int) -> Variant:
    """Kind of features that a model of so many reads."""
    return "repo" if atom_features == 34 else "paper"


@dataclass(frozen=True)
class BondedGraph:
    """Atoms, bonds, triplets and pairs of a batch of M molecules.

    Every bond is there twice, once in each direction: edge ``e`` leads from
    ``source[e]`` to ``target[e]``, and ``reverse[e]`` is the way back. No index joins
    two molecules. A molecule without bonds has neither edges nor triplets.

    Attributes:
        atom_features: Attentive-FP features, shape (N, 39) or (N, 34).
        edge_features: Features of the bond of each edge, shape (E, 10).
        masses: Masses in units of 50 u, as the papers scale them, shape (N,).
        source: Sending atom of each edge, int64 of shape (E,).
        target: Receiving atom of each edge, int64 of shape (E,).
        reverse: Edge in the other direction, int64 of shape (E,).
        triplets: Two edges with the same target i, (j to i) and (k to i), k = j
            included, int64 of shape (2, T); sorted by the first.
        pairs: Both atoms of every unordered pair within a molecule, i < j, int64 of
            shape (2, P).
        hops: Bonds on the shortest way between the atoms of a pair, int64 of
            shape (P,); a large number where there is none.
        molecule: Molecule of each atom, int64 of shape (N,), ascending.
        n_atoms: Atoms of each molecule, int64 of shape (M,).
        input_index: Position of each atom among the heavy atoms as they were given,
            int64 of shape (N,).
        positions: Conformation to learn, Å, shape (N, 3), or None.
    """

    atom_features: Tensor
    edge_features: Tensor
    masses: Tensor
    source: Tensor
    target: Tensor
    reverse: Tensor
    triplets: Tensor
    pairs: Tensor
    hops: Tensor
    molecule: Tensor
    n_atoms: Tensor
    input_index: Tensor
    positions: Tensor | None = None

    @property
    def n_molecules(self) -> int:
        """Number of molecules M."""
        return len(self.n_atoms)

    @property
    def place(self) -> Tensor:
        """Position of each atom in its molecule, int64 of shape (N,)."""
        starts = offsets(self.n_atoms)
        return (
            self.molecule.new_ones(len(self.molecule)).cumsum(0)
            - 1
            - (starts.index_select(0, self.molecule))
        )

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move and cast: as `torch.Tensor.to`, a dtype for the real numbers only."""
        values: dict[str, Any] = {
            f.name: _to(getattr(self, f.name), *args, **kwargs) for f in fields(self)
        }
        return type(self)(**values)


def _to(value: Tensor | None, *args: Any, **kwargs: Any) -> Tensor | None:
    if value is None or value.is_floating_point():
        return None if value is None else value.to(*args, **kwargs)
    # An index stays int64 whatever the dtype asked for.
    moved = value.to(*args, **kwargs)
    return moved.to(value.dtype)
