"""Losses and metrics of properties against loops and formulas worked out by hand."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from ase_physml.training.losses import targets as properties

NAN = math.nan
PREDICTED = torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 30.0]])
TARGET = torch.tensor([[0.0, NAN], [4.0, 17.0], [4.0, 34.0]])
LABELS = torch.tensor([[0.0, 1.0], [1.0, NAN], [NAN, 0.0], [1.0, 1.0], [0.0, 1.0]])


def draw(*shape: int) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(*shape)


def pairs_won(scores: list[float], positive: list[bool]) -> float:
    """AUC by counting every pair of a positive and a negative."""
    won = [
        1.0 if s > t else 0.5 if s == t else 0.0
        for s, yes in zip(scores, positive, strict=True)
        if yes
        for t, no in zip(scores, positive, strict=True)
        if not no
    ]
    return sum(won) / len(won)


def test_regression_counts_known_targets_only() -> None:
    assert properties.mse_loss(PREDICTED, TARGET).item() == pytest.approx(30 / 5)
    assert properties.mae_loss(PREDICTED, TARGET).item() == pytest.approx(10 / 5)
    assert properties.mae(PREDICTED, TARGET).tolist() == pytest.approx([1.0, 3.5])
    expected = [math.sqrt(5 / 3), math.sqrt(25 / 2)]
    assert properties.rmse(PREDICTED, TARGET).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("loss", [properties.mse_loss, properties.mae_loss])
def test_unknown_targets_give_no_gradient(
    loss: Callable[[Tensor, Tensor], Tensor],
) -> None:
    predicted = PREDICTED.clone().requires_grad_()
    loss(predicted, TARGET).backward()
    assert predicted.grad is not None
    assert predicted.grad.isfinite().all()
    assert predicted.grad[0, 1] == 0
    assert predicted.grad[0, 0] > 0


def test_class_weights_balance_classes() -> None:
    weights = properties.class_weights(LABELS)
    # Two of each, then one no and three yes.
    expected = [[2 / 3, 2 / 3], [2 / 2, 2 / 4]]
    assert torch.allclose(weights, torch.tensor(expected))


def test_binary_loss_is_that_of_torch_on_known_labels() -> None:
    logits, known = draw(5, 2), ~LABELS.isnan()
    expected = binary_cross_entropy_with_logits(logits[known], LABELS[known])
    assert properties.binary_loss(logits, LABELS).item() == pytest.approx(
        expected.item()
    )


def test_cross_entropy_weighs_classes() -> None:
    logits, weights = draw(5, 2, 3), draw(2, 3).exp()
    total = 0.0
    for m in range(5):
        for k in range(2):
            if not math.isnan(LABELS[m, k]):
                label = LABELS[m, k].long()
                weight = weights[k, label]
                total += float(weight * cross_entropy(logits[m, k], label))
    found = properties.cross_entropy_loss(logits, LABELS, weights)
    assert found.item() == pytest.approx(total / 8)


def test_labels_unknown_throughout_give_zero() -> None:
    logits = draw(5, 2).requires_grad_()
    loss = properties.binary_loss(logits, torch.full((5, 2), NAN))
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None and (logits.grad == 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_roc_auc_counts_pairs(seed: int) -> None:
    torch.manual_seed(seed)
    # Few different scores: many ties.
    scores = torch.randint(0, 6, (40,)).float()
    positive = torch.rand(40) < 0.3
    found = properties.roc_auc(scores, positive)
    assert found == pytest.approx(pairs_won(scores.tolist(), positive.tolist()))


def test_roc_auc_of_scores_of_any_size() -> None:
    # Large logits, whose sigmoids are all one, are no ties.
    scores = torch.tensor([50.0, 60.0, 1e9, -1e9, 70.0])
    positive = torch.tensor([False, True, True, False, False])
    assert properties.roc_auc(scores, positive) == 5 / 6
    assert properties.roc_auc(torch.zeros(5), positive) == 0.5
    scores[1] = NAN
    assert math.isnan(properties.roc_auc(scores, positive))


def test_undefined_labels_are_left_out_or_count_as_perfect() -> None:
    scores = torch.tensor([[0.1, 0.5], [0.9, 0.5], [0.3, 0.2], [0.2, 0.3]])
    labels = torch.tensor([[1.0, 1.0], [1.0, 1.0], [0.0, NAN], [0.0, 1.0]])
    assert properties.mean_roc_auc(scores, labels) == pytest.approx(0.5)
    assert properties.legacy_roc_auc(scores, labels) == pytest.approx(0.75)
    assert math.isnan(properties.mean_roc_auc(scores, torch.ones(4, 2)))


def test_classes_are_scored_one_against_the_rest() -> None:
    scores = draw(30, 2, 3)
    labels = torch.randint(0, 2, (30, 2)).float()
    labels[:, 1] = torch.randint(0, 3, (30,)).float()
    labels[3:6, 0] = NAN
    table = properties.roc_auc_table(scores, labels)
    for k in range(2):
        known = ~labels[:, k].isnan()
        for c in range(3):
            positive = (labels[known, k] == c).tolist()
            if not any(positive):
                assert math.isnan(table[k, c])
                continue
            expected = pairs_won(scores[known, k, c].tolist(), positive)
            assert table[k, c].item() == pytest.approx(expected)
    per_label = [table[0, :2].mean().item(), table[1].mean().item()]
    assert properties.mean_roc_auc(scores, labels) == pytest.approx(sum(per_label) / 2)


def test_legacy_rmse_is_smaller_in_small_batches() -> None:
    predicted, target = draw(40, 1), torch.zeros(40, 1)
    whole = properties.rmse(predicted, target).item()
    assert properties.legacy_batch_rmse(predicted, target, 40) == pytest.approx(whole)
    halves = (properties.rmse(p, target[:20]).item() for p in predicted.split(20))
    found = properties.legacy_batch_rmse(predicted, target, 20)
    assert found == pytest.approx(sum(halves) / 2)
    assert properties.legacy_batch_rmse(predicted, target, 2) < 0.95 * whole


def test_legacy_mae_has_the_units_of_the_property() -> None:
    std, mean = torch.tensor([2.0, 3.0]), torch.tensor([5.0, 7.0])
    found = properties.legacy_mae_as_rmse(
        (PREDICTED - mean) / std, (TARGET - mean) / std, std
    )
    assert found.tolist() == pytest.approx(properties.mae(PREDICTED, TARGET).tolist())


def test_seed_table() -> None:
    table = properties.seed_table(
        {"HamNet": [{"RMSE": 1.0, "MAE": 0.5}, {"RMSE": 2.0, "MAE": 0.5}]}
    )
    assert table.splitlines()[-1] == "| HamNet | 1.500 ± 0.707 | 0.500 ± 0.000 | 2 |"
    widths = {line.count("|") for line in table.splitlines()}
    assert widths == {5}
