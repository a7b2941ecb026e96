"""Losses of potentials with physical pair terms: charges, dipoles, and chemistry.

Labels are those of the structures where they are: molecules that noise has displaced
are left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from torch import Tensor

from ase_physml.errors import PotentialError
from ase_physml.models.physml.model import PhysML
from ase_physml.training.distributed import Mean
from ase_physml.training.losses.loss import FrameLoss, register
from ase_physml.typed import Range

if TYPE_CHECKING:
    from ase_physml.training.batches import Batch
    from ase_physml.training.physml_module import FrameContext


@dataclass(frozen=True)
class _OfCharges(FrameLoss):
    """Base of both: squared errors, per number."""

    reads = frozenset({"charges"})

    def applies(self, batch: "Batch") -> bool:
        """Batches some of whose labels are given."""
        found = batch.labels.get(self.labels[0])
        return found is not None and not bool(found.isnan().all())

    def mistakes(self, recipe: Any, processes: int) -> Iterator[str]:
        """Reasons why a recipe with this loss cannot be trained."""
        yield from _without_charges(self, recipe)

    def error(self, context: "FrameContext") -> Tensor:
        """Answer less label, NaN where there is no label."""
        raise NotImplementedError

    def __call__(self, context: "FrameContext") -> Mean | None:
        """Mean over the labels that are given."""
        error = self.error(context)[context.n_displaced :]
        given = ~error.isnan()
        if not given.any():
            return None
        # Of labels that are not given, zeros: NaN would pass into gradients.
        loss = error.masked_fill(~given, 0.0).square().sum() / given.sum()
        return Mean(loss, given.sum())

    def errors(self, context: "FrameContext") -> Tensor:
        """Absolute errors of a validation batch; nothing of a model without charges."""
        if not context.model.config.has_charges:
            return context.batch.positions.new_empty(0)
        return self.error(context).abs()


def _without_charges(loss: FrameLoss, recipe: Any) -> Iterator[str]:
    if not recipe.model.has_charges and recipe.start_from is None:
        yield (
            f"the loss {loss.name} is of charges, which the model has not; set "
            "model.pair_terms=physical"
        )


@register
@dataclass(frozen=True)
class Charges(_OfCharges):
    """Charges of atoms, e."""

    name = "charges"
    labels = ("charges",)
    metric, unit = "mae_charges", "e"

    def error(self, context: "FrameContext") -> Tensor:
        """(M, N) e."""
        return context.charges - context.batch.labels["charges"]


@register
@dataclass(frozen=True)
class Dipole(_OfCharges):
    """Dipoles of molecules, e Å."""

    name = "dipole"
    labels = ("dipole",)
    metric, unit = "mae_dipole", "e Å"

    def error(self, context: "FrameContext") -> Tensor:
        """(M, 3) e Å."""
        positions = context.batch.positions
        found = (context.charges.unsqueeze(-1) * positions).sum(1)
        return found - context.batch.labels["dipole"]


@register
@dataclass(frozen=True)
class Chemistry(FrameLoss):
    """Wells of pairs near covalent bonds and van der Waals contacts, where they start.

    Mean square of the logarithms of depth, exponent and distance over chemistry's: a
    factor of 2.7 in one of them counts 1. A pass of its own through the model, every so
    many steps; its weight is scaled up to match.

    Attributes:
        every: Steps between two passes.
    """

    name = "chemistry"
    always = False
    every: Annotated[int, Range(at_least=1)] = 10

    def mistakes(self, recipe: Any, processes: int) -> Iterator[str]:
        """Reasons why a recipe with this loss cannot be trained."""
        yield from _without_charges(self, recipe)

    def __call__(self, context: "FrameContext") -> Tensor | None:
        """Mean over all pairs, whatever their distance."""
        batch = context.batch
        if batch.step % self.every:
            return None
        model, graph = context.model, batch.graph(context.model.config)
        if not isinstance(model, PhysML):
            raise PotentialError("the loss chemistry is of PhysML's pair terms")
        return self.every * model.pair_deviations(graph).square().mean()
