"""Places of a model's channels in the native code's rows.

It works on sixteen channels at a time, of which each has the same head whatever the
sixteen: channel m of head h is at m H + h. What is left over is filled with zeros.
"""

import torch
from torch import Tensor

from ase_physml.models.physml.config import PhysMLConfig

GROUP = 16


def filled(count: int) -> int:
    """Next multiple of sixteen."""
    return -(-count // GROUP) * GROUP


def heads_of(config: PhysMLConfig) -> int:
    """Heads, with some that do nothing: a power of two, or a multiple of sixteen."""
    if config.heads > GROUP:
        return filled(config.heads)
    return int(1 << (config.heads - 1).bit_length())


def width_of(config: PhysMLConfig) -> int:
    """Channels with those that do nothing."""
    return filled(heads_of(config) * (config.width // config.heads))


def directed_of(config: PhysMLConfig) -> int:
    """Channels of heads that know angles, with those that do nothing."""
    return filled(heads_of(config) * config.angular)


def places(config: PhysMLConfig, each: int) -> Tensor:
    """Place of each channel of heads with so many, (heads * each,) int64."""
    channel = torch.arange(config.heads * each, device="cpu")
    return channel % each * heads_of(config) + channel // each


def put(values: Tensor, place: Tensor, size: int, axis: int = -1) -> Tensor:
    """Spread an axis to places in a longer one, zeros elsewhere; differentiable."""
    shape = list(values.shape)
    shape[axis] = size
    return values.new_zeros(shape).index_copy(axis, place, values)


def put_first(values: Tensor, size: int, axis: int = 0) -> Tensor:
    """Fill up an axis with zeros at its end."""
    place = torch.arange(values.shape[axis], device="cpu")
    return put(values, place, size, axis)
