"""Machine and work: rates of this one, and what a computation asks of it."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


@dataclass(frozen=True)
class Machine:
    """Measured limits.

    Attributes:
        threads: Number of threads of torch.
        copy: Bytes per second that a large copy reads and writes.
        matmul: Floating-point operations per second of a large float32 product.
    """

    threads: int
    copy: float
    matmul: float

    @classmethod
    def measure(cls, device: str = "cpu") -> "Machine":
        """Rates by a copy of 64 MiB and a product of 1024 x 1024 matrices."""
        big = torch.zeros(64 * 2**20 // 4, device=device)
        other = torch.empty_like(big)
        a = torch.randn(1024, 1024, device=device)
        # Reading one number waits for a GPU to finish.
        copying = seconds(lambda: other.copy_(big)[0].item(), 10)
        product = seconds(lambda: (a @ a)[0, 0].item(), 10)
        threads = torch.get_num_threads()
        return cls(threads, 2 * big.nbytes / copying, 2 * 1024**3 / product)


@dataclass(frozen=True)
class Work:
    """Work of a call: operations of matrix products, bytes that its kernels touch.

    Bytes are those of every operand of every kernel, as if nothing stayed in a cache.
    """

    flops: float
    bytes: float

    def limit(self, machine: Machine) -> float:
        """Seconds that the machine needs for it at the least, products and bytes."""
        return max(self.flops / machine.matmul, self.bytes / machine.copy)


class _Counter(TorchDispatchMode):
    """Not torch's `FlopCounterMode`: its module hooks do not bear `autograd.grad`."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = self.bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if not func.is_view:
            self.bytes += _nbytes(args) + _nbytes(out)
        if (flops := flop_registry.get(func.overloadpacket)) is not None:
            self.flops += flops(*args, **kwargs, out_val=out)
        return out


def _nbytes(values: Any) -> int:
    if isinstance(values, Tensor):
        return values.untyped_storage().nbytes()
    if isinstance(values, (tuple, list)):
        return sum(_nbytes(value) for value in values)
    return 0


def count(call: Callable[[], Any]) -> Work:
    """Work of a call that runs on torch; zero for one that does not."""
    with _Counter() as counted:
        call()
    return Work(counted.flops, counted.bytes)


def seconds(call: Callable[[], Any], rounds: int) -> float:
    """Median time of a call, after one that does not count."""
    call()
    taken = []
    for _ in range(rounds):
        start = perf_counter()
        call()
        taken.append(perf_counter() - start)
    return median(taken)
