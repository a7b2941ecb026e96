"""Torch as this package needs it, whatever else in the process has set it to.

Other potentials set torch's default dtype (MACE: float64) and default device, and
callers come with gradients off or in inference mode. Tensors here are made with a dtype
of their own, so that the first does not matter: it is the whole process's, and not to
be touched. The rest is set aside for as long as something here computes or loads.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def plain_torch() -> Iterator[None]:
    """Leave inference mode, autocasting and other default devices than the CPU.

    Tensors that are made in inference mode never get a gradient, not even after it, so
    that weights that are loaded in it would be of no use to forces. As a decorator, it
    holds during every call. Gradients are left on or off, as they are found.
    """
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        # Only where there is another: torch asks such a context at every operation.
        if torch.empty(0).device.type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield
