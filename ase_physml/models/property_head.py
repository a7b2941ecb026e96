"""From a fingerprint to the properties of a molecule."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

Head = Literal["regression", "classification", "multiclass"]


class PropertyHead(nn.Module):
    """Linear map from fingerprints to properties.

    A regression learns numbers of mean 0 and deviation 1, which the buffers `mean` and
    `deviation`, both (targets,), lead back to the units of the targets. Otherwise the
    outputs are logits.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, width: int, targets: int, head: Head, classes: int, dropout: float
    ) -> None:
        super().__init__()
        self.head = head
        self.shape = (targets, classes) if head == "multiclass" else (targets,)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, math.prod(self.shape))
        self.register_buffer("mean", torch.zeros(targets))
        self.register_buffer("deviation", torch.ones(targets))

    def forward(self, fingerprint: Tensor) -> Tensor:
        """(M, width) to (M, targets), or (M, targets, classes) of a multiclass head."""
        out: Tensor = self.linear(self.dropout(fingerprint))
        out = out.unflatten(-1, self.shape)
        return out * self.deviation + self.mean if self.head == "regression" else out
