"""Losses of predicted conformations, as recipes name them; see `conformation`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from ase_physml.training.distributed import Mean
from ase_physml.training.losses.conformation import (
    adj_loss,
    conn_loss_of_distances,
    kabsch_loss,
    known,
    mean_known,
    squared_distance_loss,
    trajectory_loss,
)
from ase_physml.training.losses.loss import MoleculeLoss, register
from ase_physml.typed import Range

if TYPE_CHECKING:
    from ase_physml.training.molecular_module import MoleculeContext


@register
@dataclass(frozen=True)
class Conn(MoleculeLoss):
    """Conn-k over the trajectory (PhysChem Eqs 12 and 13).

    Attributes:
        norm: Eq 12 to the letter, the norm of a matrix where its remark on Conn-oo
            means a sum.
        z: Z of Eq 13: step t weighs ``eta^(T - t) / Z``, 0.01 in the paper; null scales
            the weights to sum to one. With Z = 0.01 and eight steps a weight of this
            loss is 260 times as strong.
    """

    name = "conn"
    labels = ("positions",)
    reads = frozenset({"trajectory"})
    norm: bool = False
    z: Annotated[float, Range(above=0.0)] | None = None

    def __call__(self, context: "MoleculeContext") -> Mean | None:
        """Mean over molecules with a conformation, Å^2."""
        trajectory, shared = context.prediction.trajectory, context.recipe.losses
        if trajectory is None:
            return None
        loss = trajectory_loss(
            context.batch.graph, trajectory, shared.hops, shared.decay,
            from_start=len(trajectory) == 1, norm=self.norm, z=self.z,
        )  # fmt: skip
        return Mean(loss, known(context.batch.graph).sum())


@register
@dataclass(frozen=True)
class Distances(MoleculeLoss):
    """Conn-k of the distances that the springs aim at."""

    name = "distances"
    labels = ("positions",)
    reads = frozenset({"distances"})

    def __call__(self, context: "MoleculeContext") -> Mean | None:
        """Mean over molecules with a conformation, Å^2."""
        graph, found = context.batch.graph, context.prediction.distances
        if found is None:
            return None
        loss = conn_loss_of_distances(graph, found, context.recipe.losses.hops)
        return Mean(loss, known(graph).sum())


@register
@dataclass(frozen=True)
class Kabsch(MoleculeLoss):
    """Kabsch-RMSD (HamNet Eq 14)."""

    name = "kabsch"
    labels = ("positions",)
    reads = frozenset({"trajectory"})

    def __call__(self, context: "MoleculeContext") -> Mean | None:
        """Mean over molecules with a conformation, Å."""
        graph, trajectory = context.batch.graph, context.prediction.trajectory
        if trajectory is None:
            return None
        return Mean(kabsch_loss(graph, trajectory[-1]), known(graph).sum())


@register
@dataclass(frozen=True)
class Adj(MoleculeLoss):
    """ADJ-k (HamNet Eq 16).

    Attributes:
        root: The root of each molecule's, as printed.
    """

    name = "adj"
    labels = ("positions",)
    reads = frozenset({"trajectory"})
    root: bool = False

    def __call__(self, context: "MoleculeContext") -> Mean | None:
        """Mean over molecules with a conformation, Å^4, or Å^2 of the root."""
        graph, trajectory = context.batch.graph, context.prediction.trajectory
        if trajectory is None:
            return None
        loss = adj_loss(graph, trajectory[-1], root=self.root)
        return Mean(loss, known(graph).sum())


@register
@dataclass(frozen=True)
class SquaredDistances(MoleculeLoss):
    """Distance loss of HamNet (Eq 15)."""

    name = "squared_distances"
    always = False
    labels = ("positions",)
    reads = frozenset({"trajectory"})

    def __call__(self, context: "MoleculeContext") -> Mean | None:
        """Mean over molecules with a conformation, Å^2."""
        graph, trajectory = context.batch.graph, context.prediction.trajectory
        if trajectory is None:
            return None
        loss = mean_known(graph, squared_distance_loss(graph, trajectory[-1]))
        return Mean(loss, known(graph).sum())
