"""Weights of a file, and models built for them: never larger than what is there."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ase_physml.errors import PotentialError
from ase_physml.typed import brief

State = dict[str, Tensor]
Model = TypeVar("Model", bound=nn.Module)

_MEMBERS = 1_000
_SHOWN = 200
_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_MAKERS = (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn)
_UNFIT = "the weights do not fit the architecture"
# Beside its weights, a model has tables of elements and the like.
_BESIDE = 100_000


def members_of_state(
    content: object, make: Callable[[torch.dtype], Model]
) -> list[Model]:
    """A model for each set of weights, in evaluation mode.

    Args:
        content: State of a file: one mapping of names to tensors, or a list of them.
        make: Builds a model of the architecture that the file claims, in the dtype of
            its weights.

    Raises:
        PotentialError: Something else, weights of another architecture, or some that
            are not finite.
    """
    states = content if isinstance(content, list) else [content]
    if not 1 <= len(states) <= _MEMBERS:
        raise PotentialError(f"has {len(states)} sets of weights")
    return [_filled(make, plain_tensors(state)) for state in states]


def _filled(make: Callable[[torch.dtype], Model], state: State) -> Model:
    if not state:
        raise PotentialError("has no weights")
    elements = sum(value.numel() for value in state.values())
    with at_most(2 * elements + _BESIDE):
        model = make(min((v.dtype for v in state.values()), key=lambda d: d.itemsize))
    state = _without_retired(model, state)
    _check_shapes(state, {k: v.shape for k, v in model.state_dict().items()})
    if not all(value.isfinite().all() for value in state.values()):
        raise PotentialError("has weights that are not finite: its training diverged")
    try:
        # It knows which weights of older files have come to nothing.
        model.load_state_dict(state)
    except RuntimeError as error:
        said = " ".join(str(error).split())[:_SHOWN]
        raise PotentialError(f"{_UNFIT}: {said}") from error
    return model.eval()


@contextmanager
def at_most(elements: int) -> Iterator[None]:
    """Let models be built of so many numbers in all.

    Raises:
        PotentialError: In place of making the tensor that is one too many.
    """
    with _Budget(elements):
        yield


class _Budget(TorchFunctionMode):
    def __init__(self, elements: int) -> None:
        super().__init__()
        self.elements = self.left = elements

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Count what is about to be made."""
        if func in _MAKERS:
            sizes = args[0] if args and isinstance(args[0], Sequence) else args
            self.left -= prod(size for size in sizes if isinstance(size, int))
            if self.left < 0:
                raise PotentialError(
                    f"its architecture takes more than {self.elements:,} numbers"
                )
        return func(*args, **(kwargs or {}))


def plain_tensors(state: object) -> State:
    """Weights, if that is what they are.

    Raises:
        PotentialError: Something else, or tensors that claim more than they hold.
    """
    if not isinstance(state, dict):
        raise PotentialError(f"has {brief(state)} where weights should be")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise PotentialError(f"has {brief(value)} among its weights")
        if not _is_whole(value):
            raise PotentialError(f"{name} is no plain tensor of real numbers")
    return state


def _is_whole(value: Tensor) -> bool:
    """Every element is there: views can claim any size of a few bytes."""
    if value.layout != torch.strided or value.device.type != "cpu":
        return False
    size = value.numel() * value.element_size()
    return value.dtype in _DTYPES and size <= value.untyped_storage().nbytes()


def _without_retired(model: nn.Module, state: State) -> State:
    """Less the weights that a module says it once had, to no effect."""
    gone = {
        f"{name}.{weight}".removeprefix(".")
        for name, module in model.named_modules()
        for weight in getattr(module, "retired", ())
    }
    return {name: value for name, value in state.items() if name not in gone}


def _check_shapes(state: State, claimed: dict[str, torch.Size]) -> None:
    for name, shape in claimed.items():
        if name in state and state[name].shape != shape:
            here, there = tuple(state[name].shape), tuple(shape)
            raise PotentialError(f"{_UNFIT}: {name} is {here}, and should be {there}")
