"""Learning rate over time."""

import math


def warm_cosine(step: int, steps: int, warmup: int, final: float) -> float:
    """Linear warm-up, then a cosine, as a part of the peak.

    Args:
        step: From 0.
        steps: Of the whole stretch.
        warmup: Of the warm-up.
        final: What is left at the end.
    """
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    falling = 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
    return final + (1.0 - final) * falling
