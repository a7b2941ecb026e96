"""Losses and metrics of molecular properties: regression and labels with gaps.

Tables have one row per molecule and one column per property; NaN stands for a value
that nobody measured, and counts nowhere. Functions named ``legacy_*`` are the forms in
which the papers' own code computed its tables, for comparison with those only.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import TYPE_CHECKING

import torch
from scipy.stats import mannwhitneyu
from torch import Tensor
from torch.nn.functional import log_softmax

from ase_physml.training.distributed import Mean
from ase_physml.training.losses.loss import MoleculeLoss, register

if TYPE_CHECKING:
    from ase_physml.training.molecular_module import MoleculeContext


@register
@dataclass(frozen=True)
class Properties(MoleculeLoss):
    """Squared error of standardised targets, or cross entropy of classes.

    Attributes:
        absolute: Absolute errors of standardised targets instead of squared ones.
    """

    name = "properties"
    labels = ("targets",)
    reads = frozenset({"property"})
    absolute: bool = False

    def __call__(self, context: "MoleculeContext") -> Mean | None:
        """Mean over values that are known."""
        answer, targets = context.prediction.property, context.batch.targets
        if answer is None:
            return None
        assert targets is not None
        return Mean(self._loss(context, answer, targets), (~targets.isnan()).sum())

    def _loss(
        self, context: "MoleculeContext", answer: Tensor, targets: Tensor
    ) -> Tensor:
        if context.task == "regression":
            head = context.model.head
            assert head is not None
            loss = mae_loss if self.absolute else mse_loss
            return loss(
                (answer - head.mean) / head.deviation,
                (targets - head.mean) / head.deviation,
            )
        weights = context.class_weights
        weights = None if weights is None else weights.to(answer)
        if context.task == "classification":
            return binary_loss(answer, targets, weights)
        return cross_entropy_loss(answer, targets, weights)


def mse_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over known targets, standardised ones usually.

    Args:
        predicted: Predictions (M, K).
        target: Targets (M, K), NaN where unknown.
    """
    return _errors(predicted, target).square().sum() / _count(target)


def mae_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error over known targets; arguments as of `mse_loss`."""
    return _errors(predicted, target).abs().sum() / _count(target)


def moments(targets: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each target over its known values.

    Args:
        targets: Targets (M, K), NaN where unknown.

    Returns:
        (K,) each; where all values are equal, a deviation of 1.
    """
    mean = targets.nanmean(0)
    deviation = (targets - mean).square().nanmean(0).sqrt()
    return mean, torch.where(deviation > 0, deviation, 1.0)


def _errors(predicted: Tensor, target: Tensor) -> Tensor:
    """Predicted less target; zero, and without gradient, where unknown."""
    return torch.where(target.isnan(), 0.0, predicted - target.nan_to_num())


def _count(target: Tensor, dim: int | None = None) -> Tensor:
    known = ~target.isnan()
    return (known.sum() if dim is None else known.sum(dim)).clamp(min=1)


def class_weights(labels: Tensor, n_classes: int = 2) -> Tensor:
    """Weights that let rare classes count as much as frequent ones.

    ``(known labels / n_classes) / (labels of the class + 1)``, as PhysChem has it.

    Args:
        labels: Class numbers of the training set, (M, K), NaN where unknown.
        n_classes: Classes of each label.

    Returns:
        (K, n_classes).
    """
    classes = torch.arange(n_classes, device=labels.device)
    counts = (labels.unsqueeze(-1) == classes).sum(0).to(labels.dtype)
    return counts.sum(-1, keepdim=True) / n_classes / (counts + 1)


def cross_entropy_loss(
    logits: Tensor, labels: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Weighted cross entropy of several labels at once, mean over the known ones.

    Args:
        logits: Logits (M, K, n_classes).
        labels: Class numbers, (M, K), NaN where unknown.
        weights: Weights of the classes of each label, (K, n_classes).
    """
    true = labels.nan_to_num().long().unsqueeze(-1)
    losses = -log_softmax(logits, -1).gather(-1, true)
    if weights is not None:
        losses = losses * weights.expand_as(logits).gather(-1, true)
    losses = torch.where(labels.isnan(), 0.0, losses.squeeze(-1))
    return losses.sum() / _count(labels)


def binary_loss(
    logits: Tensor, labels: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Weighted binary cross entropy of several yes-or-no labels.

    Args:
        logits: Logits of yes, (M, K).
        labels: 0 or 1, (M, K), NaN where unknown.
        weights: Weights of no and yes, (K, 2).
    """
    # sigmoid(x) is the softmax of (0, x).
    both = torch.stack([torch.zeros_like(logits), logits], -1)
    return cross_entropy_loss(both, labels, weights)


def rmse(predicted: Tensor, target: Tensor) -> Tensor:
    """Root mean square error of each property over all molecules: (M, K) to (K,)."""
    squared = _errors(predicted, target).square().sum(0)
    return (squared / _count(target, 0)).sqrt()


def mae(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error of each property: (M, K) to (K,)."""
    return _errors(predicted, target).abs().sum(0) / _count(target, 0)


def roc_auc(scores: Tensor, positive: Tensor) -> float:
    """Chance that a positive scores above a negative, ties counting half.

    The area under the ROC curve is Mann and Whitney's U over the number of pairs; in
    double precision, of scores of any size, NaN if one is.

    Args:
        scores: Scores (M,).
        positive: Mask of the positives, bool of shape (M,).

    Returns:
        NaN unless there is at least one of each.
    """
    values = scores.double().numpy(force=True)
    chosen = positive.numpy(force=True)
    winners, losers = values[chosen], values[~chosen]
    if not len(winners) or not len(losers):
        return math.nan
    # Its p-value is not asked for: this is the cheapest.
    won = mannwhitneyu(winners, losers, method="asymptotic").statistic
    return float(won) / (len(winners) * len(losers))


def roc_auc_table(scores: Tensor, labels: Tensor) -> Tensor:
    """`roc_auc` of every class of every label against the rest.

    Args:
        scores: Scores, (M, K) for labels 0 and 1, or (M, K, n_classes).
        labels: Class numbers, (M, K), NaN where unknown.

    Returns:
        (K, 1) or (K, n_classes); NaN where undefined because all or none of the known
        labels are of the class.
    """
    single = scores.dim() == 2
    columns = scores.unsqueeze(-1) if single else scores
    table = torch.full(columns.shape[1:], math.nan, dtype=torch.float64)
    for k in range(columns.shape[1]):
        known = ~labels[:, k].isnan()
        for c in range(columns.shape[2]):
            positive = labels[known, k] == (1 if single else c)
            table[k, c] = roc_auc(columns[known, k, c], positive)
    return table


def mean_roc_auc(scores: Tensor, labels: Tensor) -> float:
    """Mean over labels of the mean over their classes, undefined ones left out.

    Arguments as of `roc_auc_table`; NaN if nothing is defined.
    """
    return float(roc_auc_table(scores, labels).nanmean(1).nanmean())


def legacy_roc_auc(scores: Tensor, labels: Tensor) -> float:
    """`mean_roc_auc` in which what is undefined counts as perfect: 1.0 (PhysChem)."""
    return float(roc_auc_table(scores, labels).nan_to_num(1.0).mean())


def legacy_batch_rmse(predicted: Tensor, target: Tensor, batch_size: int) -> float:
    """Mean of the RMSE of each batch (HamNet): too small, most so in small batches."""
    batches = zip(predicted.split(batch_size), target.split(batch_size), strict=True)
    return mean(float(mse_loss(p, t).sqrt()) for p, t in batches)


def legacy_mae_as_rmse(predicted: Tensor, target: Tensor, std: Tensor) -> Tensor:
    """Standardised MAE times the standard deviation: in PhysChem's "RMSE" columns.

    Args:
        predicted: Standardised predictions (M, K).
        target: Standardised targets (M, K).
        std: Standard deviations of the properties, (K,).

    Returns:
        (K,), in the units of the properties.
    """
    return mae(predicted, target) * std


def seed_table(rows: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Markdown table of mean ± standard deviation over runs with different seeds.

    Args:
        rows: Metrics of each run, by the name of the row; all with the same metrics.
    """
    metrics = list(next(iter(rows.values()))[0])
    lines = ["| |" + "|".join(f" {m} " for m in metrics) + "| seeds |"]
    lines.append("|---" * (len(metrics) + 2) + "|")
    for name, runs in rows.items():
        cells = [_mean_and_deviation([run[m] for run in runs]) for m in metrics]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {len(runs)} |")
    return "\n".join(lines)


def _mean_and_deviation(values: Sequence[float]) -> str:
    spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
    return f"{mean(values):.3f}{spread}"
