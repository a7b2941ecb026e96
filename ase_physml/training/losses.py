"""The losses of the paper (Sec 3.4), and three of ours, as functions of tensors.

Every function returns one number, a mean over molecules or over force components, so
that weights mean the same at any batch size. Energies in eV, forces in eV/Å.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, huber_loss, relu

from ase_physml.graph import MASK
from ase_physml.training.distributed import Draws


def energy_loss(predicted: Tensor, label: Tensor, huber: float | None) -> Tensor:
    """Squared error of the energy; molecules with a NaN label are left out.

    Args:
        predicted: (M,) eV.
        label: (M,) eV, NaN where there is none.
        huber: If given, errors above it count linearly (eV): a mean absolute error is
            what is reported, and few large outliers should not steer it.
    """
    return _error_loss(predicted, label, huber)


def force_loss(predicted: Tensor, label: Tensor, huber: float | None = None) -> Tensor:
    """Squared error of force components; NaN labels are left out.

    Args:
        predicted: (M, N, 3) eV/Å.
        label: (M, N, 3) eV/Å, NaN where there is none.
        huber: If given, errors above it count linearly (eV/Å): near transition states
            a few forces are many times the others.
    """
    return _error_loss(predicted, label, huber)


def stress_loss(predicted: Tensor, label: Tensor) -> Tensor:
    """Squared error of stress components; NaN labels are left out.

    Args:
        predicted: (M, 3, 3) eV/Å^3.
        label: (M, 3, 3) eV/Å^3, NaN where there is none.
    """
    return _error_loss(predicted, label, None)


def _error_loss(predicted: Tensor, label: Tensor, huber: float | None) -> Tensor:
    """Mean over known labels of the square, or of Huber's function over its bend."""
    known = ~label.isnan()
    error = torch.where(known, predicted - label.nan_to_num(), 0.0)
    count = known.sum().clamp(min=1)
    if huber is None:
        return error.square().sum() / count
    scaled = huber_loss(error, torch.zeros_like(error), reduction="sum", delta=huber)
    return scaled / (huber * count)


def difference_loss(
    predicted: Tensor, label: Tensor, group: Tensor, huber: float | None
) -> tuple[Tensor, Tensor]:
    """Squared error of energies relative to the mean of their group.

    What conformers of a molecule are ordered by, and barriers are: a small difference
    of large numbers, to which the loss of energies gives little weight.

    Args:
        predicted: (M,) eV.
        label: (M,) eV, NaN where there is none.
        group: Number of the group of each frame, (M,).
        huber: As of `energy_loss`.

    Returns:
        The loss, and of how many frames: those with a label whose group has another.
    """
    error, compared = centred_errors(predicted, label, group)
    at_zero = torch.zeros_like(error).masked_fill(~compared, torch.nan)
    return _error_loss(error, at_zero, huber), compared.sum()


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


def zero_force_loss(forces: Tensor, fixed: Tensor | None = None) -> Tensor:
    """Mean squared force component at an equilibrium structure: it should be zero.

    The paper prints the gradient of E_i but means the molecule's energy.

    Args:
        forces: (M, N, 3) eV/Å.
        fixed: Atoms that something else holds, and which are left out, (M, N).
    """
    if fixed is None:
        return forces.square().mean()
    free = ~fixed.unsqueeze(-1)
    return (forces * free).square().sum() / (3 * free.sum()).clamp(min=1)


def bound_loss(at_rest: Tensor, displaced: Tensor, margin: Tensor | float) -> Tensor:
    """``relu(E(R) + margin - E(R + eps))``: displaced structures lie above (Eq 8).

    Read with E* as the energy of the noised structure; the other reading would punish
    correct behaviour. A margin (an extension, not in the paper) asks for curvature:
    half a force constant times the squared displacement.
    """
    return relu(at_rest + margin - displaced).mean()


def denoising_loss(forces: Tensor, target: Tensor, compliance: Tensor) -> Tensor:
    """The gradient at a displaced structure points back to the equilibrium.

    An extension, not in the paper. An error counts twice: by the energy it would cost
    in the harmonic molecule, ``dF H^-1 dF``, in which all modes weigh the same; and by
    how far it would take a relaxation astray, ``|H^-1 dF|^2``, in which soft ones do
    most. Both are relative to the same measure of the target (plus 2 meV and 0.02 Å a
    coordinate), so that near and far displacements weigh the same. A relative error r
    counts as ``log(1 + r)``: one pair of atoms thrown into each other would outweigh a
    thousand molecules.

    Args:
        forces: Predicted, (M, N, 3) eV/Å.
        target: (M, N, 3) eV/Å.
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


def mask_atoms(numbers: Tensor, share: float, random: Draws) -> Tensor:
    """Replace atoms by [MASK] with probability ``share``, one per molecule at least.

    Args:
        numbers: (M, N) atomic numbers.
        share: The paper's rho, 0.3.
        random: Numbers for these molecules.
    """
    chance = random.uniform(numbers.shape[1]).to(numbers.device)
    hidden = (chance < share) | (chance == chance.min(dim=1, keepdim=True).values)
    return numbers.masked_fill(hidden, MASK)


def mask_loss(logits: Tensor, numbers: Tensor, masked: Tensor) -> Tensor:
    """Cross-entropy of the true element over masked atoms (Eq 7, softmax form).

    Args:
        logits: (M, N, C); class c is z = c + 1.
        numbers: True atomic numbers, (M, N).
        masked: Atomic numbers with [MASK] = 0, (M, N).
    """
    hidden = masked == MASK
    return cross_entropy(logits[hidden], numbers[hidden] - 1)
