"""One batch in several processes, to the result of one process.

Every process has a part of each batch, draws the random numbers that one process would
have drawn for it, and weighs its losses by how much it counts among all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor

if TYPE_CHECKING:
    import lightning.pytorch as pl

Rows = TypeVar("Rows", npt.NDArray[np.int64], Tensor)


@dataclass(frozen=True)
class Shard:
    """Every ``world``-th molecule from number ``rank`` on.

    Attributes:
        rank: Number of this process.
        world: Number of all processes.
    """

    rank: int = 0
    world: int = 1

    def count(self, whole: int) -> int:
        """Number of molecules here, of so many in all."""
        return len(range(self.rank, whole, self.world))

    def of(self, rows: Rows) -> Rows:
        """Rows of these molecules, or the first row where there is none.

        Every process takes every step; whoever has no molecule counts for nothing.
        """
        part = rows[self.rank :: self.world]
        return part if len(part) else rows[:1]


def share_of(trainer: "pl.Trainer | None") -> Shard:
    """Shard of every batch that this process has."""
    if trainer is None:
        return Shard()
    return Shard(trainer.global_rank, trainer.world_size)


@dataclass
class Draws:
    """Random numbers for molecules, the same in any number of processes.

    Args:
        seed: Seed of the generator.
        count: Molecules in all processes.
        share: Shard of them that is here.
    """

    seed: int
    count: int
    share: Shard = field(default_factory=Shard)

    def __post_init__(self) -> None:
        self._generator = Generator().manual_seed(self.seed)

    def uniform(self, *shape: int) -> Tensor:
        """Numbers from 0 to 1, (M, *shape) for the M molecules here."""
        return self.share.of(torch.rand(self.count, *shape, generator=self._generator))

    def same(self, below: int) -> int:
        """Integer from 0, one for all molecules in all processes."""
        return int(torch.randint(below, (), generator=self._generator))

    def normal(self, *shape: int) -> Tensor:
        """Numbers of a standard normal distribution, (M, *shape)."""
        return self.share.of(torch.randn(self.count, *shape, generator=self._generator))


class Mean(NamedTuple):
    """Mean over molecules, atoms or force components, and their number.

    Attributes:
        value: Mean, a tensor of one number.
        number: Number that it is the mean of: an integer, or a tensor of one.
    """

    value: Tensor
    number: Tensor | int


def over_all(
    terms: Mapping[str, Mean], names: Sequence[str], world: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Means over what all processes have.

    Args:
        terms: Means over what this process has.
        names: All that any process may have, in an order that they agree on.
        world: Number of processes.

    Returns:
        Terms of this process whose gradients, averaged over processes as is done with
        them, are those of the means over all; and these means, without gradient.
    """
    if world == 1:
        values = {name: term.value for name, term in terms.items()}
        return values, {name: value.detach() for name, value in values.items()}
    device = next((term.value.device for term in terms.values()), None)
    table = torch.zeros(len(names), 2, dtype=torch.float64, device=device)
    for name, (value, number) in terms.items():
        row = table[names.index(name)]
        row[1] = number
        row[0] = row[1] * value.detach()
    torch.distributed.all_reduce(table)
    sums, counts = table.unbind(1)
    own = {
        name: value * (number * world / counts[names.index(name)]).to(value)
        for name, (value, number) in terms.items()
        if counts[names.index(name)]
    }
    means = {name: sums[k] / counts[k] for k, name in enumerate(names) if counts[k] > 0}
    return own, means


def weighted(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Sum of terms, each times the weight of its name."""
    each = [weights[name] * value for name, value in terms.items()]
    return torch.stack(each).sum() if each else torch.zeros(())


def nothing(model: torch.nn.Module) -> Tensor:
    """Zero, with a gradient: a step that finds no loss is a step all the same."""
    return 0.0 * next(p for p in model.parameters() if p.requires_grad).sum()
