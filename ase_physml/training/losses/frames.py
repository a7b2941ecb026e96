"""Losses of potentials: those of the paper (Eqs 7 to 9), and some of ours.

Each is a function of tensors and a class that takes these from a batch. Functions
return a mean over molecules or over force components, so that weights mean the same at
any batch size. Energies in eV, forces in eV/Å, stress in eV/Å^3.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, huber_loss, relu

from ase_physml.graph import MASK
from ase_physml.training.distributed import Draws, Mean
from ase_physml.training.losses.loss import FrameLoss, register

if TYPE_CHECKING:
    from ase_physml.training.batches import Batch
    from ase_physml.training.physml_module import FrameContext


@register
@dataclass(frozen=True)
class Bound(FrameLoss):
    """Hinge of energies: displaced structures lie above minima (Eq 8), by a margin.

    Attributes:
        apart: All of a batch are displaced, and forces stay those at rest (paper).
    """

    name = "bound"
    reads = frozenset({"energies"})
    displaces = True
    apart: bool = False

    def mistakes(self, recipe: Any, processes: int) -> Iterator[str]:
        """Denoising reads the forces of what is displaced."""
        every = [set(stage.losses.weights) for stage in recipe.stages]
        if self.apart and any({"bound", "denoise"} <= names for names in every):
            yield "bound.apart leaves forces at rest, denoise reads others: drop one"

    def applies(self, batch: "Batch") -> bool:
        """Minima."""
        return batch.equilibrium

    def __call__(self, context: "FrameContext") -> Mean | None:
        """Mean over structures that were displaced."""
        moved = context.displaced
        if moved is None:
            return None
        margin = 0.5 * context.recipe.margin * moved.shift.square().sum((1, 2))
        loss = bound_loss(context.at_rest, context.displaced_energies, margin)
        return Mean(loss, len(moved.shift))


def bound_loss(at_rest: Tensor, displaced: Tensor, margin: Tensor | float) -> Tensor:
    """``relu(E(R) + margin - E(R + eps))``: displaced structures lie above (Eq 8).

    Read with E* as the energy of the noised structure; the other reading would punish
    correct behaviour. A margin (an extension, not in the paper) asks for curvature:
    half a force constant times the squared displacement.
    """
    return relu(at_rest + margin - displaced).mean()


@register
@dataclass(frozen=True)
class Denoise(FrameLoss):
    """Gradients at displaced structures, which point back (not in the paper)."""

    name = "denoise"
    reads = frozenset({"forces"})
    displaces = True

    def applies(self, batch: "Batch") -> bool:
        """Minima."""
        return batch.equilibrium

    def __call__(self, context: "FrameContext") -> Mean | None:
        """Mean over structures that were displaced by less than the noise's reach."""
        moved = context.displaced
        if moved is None or not moved.near.any():
            return None
        near = moved.near
        compliance = torch.linalg.inv(moved.hessian[near])
        forces = context.forces[: len(near)][near]
        return Mean(denoising_loss(forces, moved.pull[near], compliance), near.sum())


def denoising_loss(forces: Tensor, target: Tensor, compliance: Tensor) -> Tensor:
    """Misfit of gradients that should point back to the equilibrium.

    An extension, not in the paper. An error counts twice: by the energy it would cost
    in the harmonic molecule, ``dF H^-1 dF``, in which all modes weigh the same; and by
    how far it would take a relaxation astray, ``|H^-1 dF|^2``, in which soft ones do
    most. Both are relative to the same measure of the target (plus 2 meV and 0.02 Å a
    coordinate), so that near and far displacements weigh the same. A relative error r
    counts as ``log(1 + r)``: one pair of atoms thrown into each other would outweigh a
    thousand molecules.

    Args:
        forces: Predicted forces (M, N, 3), eV/Å.
        target: Forces of a generic force field (M, N, 3), eV/Å.
        compliance: Inverse Hessians (M, 3N, 3N), Å^2/eV.
    """
    error, astray = _strain(forces - target, compliance)
    energy, shift = _strain(target, compliance)
    return (
        torch.log1p(error / (energy + 0.002)) + torch.log1p(astray / (shift + 0.02**2))
    ).mean()


def _strain(forces: Tensor, compliance: Tensor) -> tuple[Tensor, Tensor]:
    """``F H^-1 F`` in eV and ``|H^-1 F|^2`` in Å^2, per coordinate: (M,) each."""
    flat = forces.flatten(1).unsqueeze(2)
    shift = compliance @ flat
    return (flat * shift).mean((1, 2)), shift.square().mean((1, 2))


@register
@dataclass(frozen=True)
class Energy(FrameLoss):
    """Labelled energies."""

    name = "energy"
    labels = ("energy",)
    reads = frozenset({"energies"})
    default = 1.0
    needs_labels = False
    metric, unit = "mae_energy", "eV"

    def applies(self, batch: "Batch") -> bool:
        """Batches with labels that are totals."""
        return not (batch.relative or bool(batch.energies.isnan().all()))

    def __call__(self, context: "FrameContext") -> Mean:
        """Mean over structures with a label."""
        energies, label = context.energies, context.label.to(context.energies.dtype)
        return Mean(label_loss(energies, label, context.recipe.huber), _known(label))

    def errors(self, context: "FrameContext") -> Tensor:
        """Errors of energies, (M,) eV."""
        return (context.energies - context.label).abs()


def label_loss(predicted: Tensor, label: Tensor, huber: float | None = None) -> Tensor:
    """Mean over labels that are there of the squared error.

    Args:
        predicted: Energies (M,) eV, forces (M, N, 3) eV/Å, stress (M, 3, 3) eV/Å^3.
        label: Labels of the same shape and unit, NaN where there is none.
        huber: Errors above it, in their unit, count linearly, as Huber's function over
            its bend: a mean absolute error is what is reported, and few large outliers
            should not steer it; near transition states a few forces are many times the
            others. None for plain squares.
    """
    known = ~label.isnan()
    error = torch.where(known, predicted - label.nan_to_num(), 0.0)
    count = known.sum().clamp(min=1)
    if huber is None:
        return error.square().sum() / count
    scaled = huber_loss(error, torch.zeros_like(error), reduction="sum", delta=huber)
    return scaled / (huber * count)


@register
@dataclass(frozen=True)
class Difference(FrameLoss):
    """Labelled energies less their mean over frames that are compared."""

    name = "difference"
    labels = ("energy",)
    reads = frozenset({"energies"})
    needs_labels = False
    metric, unit = "mae_difference", "eV"

    def applies(self, batch: "Batch") -> bool:
        """Sets whose frames are compared."""
        return batch.group is not None

    def __call__(self, context: "FrameContext") -> Mean:
        """Mean over structures with others to compare with."""
        assert context.batch.group is not None
        label = context.label.to(context.energies.dtype)
        bend = context.recipe.huber_difference
        group = context.batch.group
        return Mean(*difference_loss(context.energies, label, group, bend))

    def errors(self, context: "FrameContext") -> Tensor:
        """Errors of energies less the mean of their group, of those compared, eV."""
        assert context.batch.group is not None
        errors, compared = centred_errors(
            context.energies, context.label, context.batch.group
        )
        return errors[compared].abs()

    def mistakes(self, recipe: Any, processes: int) -> Iterator[str]:
        """Nothing to compare, or frames that other processes have."""
        if not any(source.compare for source in recipe.sources):
            yield (
                "the loss of differences compares nothing; say of a source what its "
                "frames have in common, such as compare: smiles"
            )
        if processes > 1:
            yield (
                "the loss of differences compares frames of one process; train with "
                "--devices 1 and --num-nodes 1"
            )


def difference_loss(
    predicted: Tensor, label: Tensor, group: Tensor, huber: float | None
) -> tuple[Tensor, Tensor]:
    """Squared error of energies relative to the mean of their group.

    What conformers of a molecule are ordered by, and barriers are: a small difference
    of large numbers, to which the loss of energies gives little weight.

    Args:
        predicted: Energies (M,), eV.
        label: Labels (M,), eV, NaN where there is none.
        group: Number of the group of each frame, (M,).
        huber: Bend of Huber's function in eV, as of `label_loss`.

    Returns:
        The loss, and of how many frames: those with a label whose group has another.
    """
    error, compared = centred_errors(predicted, label, group)
    at_zero = torch.zeros_like(error).masked_fill(~compared, torch.nan)
    return label_loss(error, at_zero, huber), compared.sum()


def centred_errors(
    predicted: Tensor, label: Tensor, group: Tensor
) -> tuple[Tensor, Tensor]:
    """Errors (M,) less the mean of their group, and which have one to compare with."""
    known = ~label.isnan()
    error = torch.where(known, predicted - label.nan_to_num(), 0.0)
    _, place = group.unique(return_inverse=True)
    count = torch.zeros_like(error).index_add(0, place, known.to(error))
    total = torch.zeros_like(error).index_add(0, place, error)
    centred = error - (total / count.clamp(min=1))[place]
    return centred, known & (count[place] > 1)


@register
@dataclass(frozen=True)
class Forces(FrameLoss):
    """Labelled forces; of minima they are left to the loss of zero forces."""

    name = "forces"
    labels = ("forces",)
    reads = frozenset({"forces"})
    needs_labels = False
    metric, unit = "mae_forces", "eV/Å"

    def applies(self, batch: "Batch") -> bool:
        """Structures off equilibrium."""
        return not batch.equilibrium

    def __call__(self, context: "FrameContext") -> Mean:
        """Mean over force components with a label."""
        label = context.batch.forces
        loss = label_loss(context.forces, label, context.recipe.huber_forces)
        return Mean(loss, _known(label))

    def errors(self, context: "FrameContext") -> Tensor:
        """Errors of force components, (M, N, 3) eV/Å."""
        return (context.forces - context.batch.forces).abs()


@register
@dataclass(frozen=True)
class ZeroForce(FrameLoss):
    """Forces at equilibrium structures, where they are zero."""

    name = "zero_force"
    reads = frozenset({"forces"})
    metric, unit = "mae_zero_force", "eV/Å"

    def applies(self, batch: "Batch") -> bool:
        """Minima."""
        return batch.equilibrium

    def __call__(self, context: "FrameContext") -> Mean | None:
        """Mean over force components of free atoms where nothing was displaced."""
        forces = context.forces[context.n_displaced :]
        if not len(forces):
            return None
        fixed = context.batch.fixed
        fixed = None if fixed is None else fixed[context.n_displaced :]
        free = forces[:, :, 0].numel() if fixed is None else (~fixed).sum()
        return Mean(zero_force_loss(forces, fixed), free)

    def errors(self, context: "FrameContext") -> Tensor:
        """Force components of free atoms, eV/Å."""
        fixed = context.batch.fixed
        free = context.forces if fixed is None else context.forces[~fixed]
        return free.abs()


def zero_force_loss(forces: Tensor, fixed: Tensor | None = None) -> Tensor:
    """Mean squared force component at an equilibrium structure: it should be zero.

    The paper prints the gradient of E_i but means the molecule's energy.

    Args:
        forces: Forces (M, N, 3), eV/Å.
        fixed: Atoms that something else holds, and which are left out, (M, N).
    """
    if fixed is None:
        return forces.square().mean()
    free = ~fixed.unsqueeze(-1)
    return (forces * free).square().sum() / (3 * free.sum()).clamp(min=1)


@register
@dataclass(frozen=True)
class Stress(FrameLoss):
    """Labelled stress of cells.

    Its numbers in eV/Å^3 are small: take a weight some thousand times that of forces.
    """

    name = "stress"
    labels = ("stress",)
    reads = frozenset({"stress"})
    metric, unit = "mae_stress", "eV/Å^3"

    def applies(self, batch: "Batch") -> bool:
        """Batches with labels."""
        return batch.stress is not None and not bool(batch.stress.isnan().all())

    def __call__(self, context: "FrameContext") -> Mean:
        """Mean over components with a label, of structures that were not displaced."""
        assert context.batch.stress is not None
        label = context.batch.stress[context.n_displaced :]
        loss = label_loss(context.stress[context.n_displaced :], label)
        return Mean(loss, _known(label))

    def errors(self, context: "FrameContext") -> Tensor:
        """Errors of components, (M, 3, 3) eV/Å^3."""
        assert context.batch.stress is not None
        return (context.stress - context.batch.stress).abs()


def _known(labels: Tensor) -> Tensor:
    """Number of labels that are there, a tensor of one."""
    return (~labels.isnan()).sum()


@register
@dataclass(frozen=True)
class Mask(FrameLoss):
    """Masked atomic modelling (Eq 7), every so many steps of a recipe.

    A pass of its own through the model: hidden atoms have no energy.
    """

    name = "mask"

    def __call__(self, context: "FrameContext") -> Mean | None:
        """Mean over hidden atoms, times the steps from one such pass to the next."""
        batch, every = context.batch, context.recipe.mask_every
        if batch.step % every:
            return None
        # Numbers of their own, whatever displacements took.
        random = Draws(~context.seed, batch.size, batch.share)
        masked = mask_atoms(batch.numbers, context.recipe.mask_share, random)
        logits = context.mask_logits(masked).reshape(*masked.shape, -1)
        loss = every * mask_loss(logits, batch.numbers, masked)
        return Mean(loss, (masked == MASK).sum())


def mask_atoms(numbers: Tensor, share: float, random: Draws) -> Tensor:
    """Atomic numbers with atoms replaced by [MASK], one per molecule at least.

    Args:
        numbers: Atomic numbers (M, N).
        share: Probability of each atom, the paper's rho, 0.3.
        random: Random numbers for these molecules.
    """
    chance = random.uniform(numbers.shape[1]).to(numbers.device)
    hidden = (chance < share) | (chance == chance.min(dim=1, keepdim=True).values)
    return numbers.masked_fill(hidden, MASK)


def mask_loss(logits: Tensor, numbers: Tensor, masked: Tensor) -> Tensor:
    """Cross-entropy of the true element over masked atoms (Eq 7, softmax form).

    Args:
        logits: Scores of elements (M, N, C); class c is z = c + 1.
        numbers: True atomic numbers, (M, N).
        masked: Atomic numbers with [MASK] = 0, (M, N).
    """
    hidden = masked == MASK
    return cross_entropy(logits[hidden], numbers[hidden] - 1)
