"""Pickles of arrays, read without running what else a pickle can run.

A pickle is a program. Those of torch_geometric's ``Data`` need a handful of functions,
which put arrays and tensors together; anything else is refused by name.
"""

import io
import pickle
from collections.abc import Callable
from typing import Any

from ase_physml.errors import DataError


class Bag:
    """Attributes of an object whose class is not loaded, without its methods.

    Attributes:
        values: Attributes by name, as the pickle has them.
    """

    def __init__(self, *_arguments: object, **_keywords: object) -> None:
        self.values: dict[str, Any] = {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.values = dict(state)


def fields_of(bag: Bag) -> dict[str, Any]:
    """Fields of a ``Data``: of version 1 its attributes, of 2 those of a store."""
    store = bag.values.get("_store")
    if isinstance(store, Bag):
        content: dict[str, Any] = store.values.get("_mapping", {})
        return content
    return bag.values


def unpickle(content: bytes, where: str, trust: bool) -> Any:
    """Object of a pickle; its ``Data`` are `Bag`s.

    Args:
        content: Bytes of the pickle.
        where: Origin, for messages.
        trust: Let it load and run whatever it names.

    Raises:
        DataError: Damaged, or it names what is not on the list.
    """
    try:
        return _Restricted(io.BytesIO(content), where, trust).load()
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"{where}: a damaged pickle ({type(error).__name__}: {error}); copy the "
            "file again"
        ) from error


class _Restricted(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, where: str, trust: bool) -> None:
        super().__init__(file)
        self.where, self.trust = where, trust

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "torch_geometric":
            return Bag
        known = _known().get((module.replace("numpy._core", "numpy.core"), name))
        if known is not None:
            return known
        if self.trust:
            return super().find_class(module, name)
        raise DataError(
            f"{self.where}: its pickle names {module}.{name}, which to load is to run "
            "code of whoever wrote the file; --trust reads it, if you trust them"
        )


def _known() -> dict[tuple[str, str], Callable[..., Any]]:
    """Functions that only put data together, by module and name."""
    from collections import OrderedDict

    import numpy as np
    import torch
    from torch._utils import _rebuild_tensor, _rebuild_tensor_v2

    empty = np.zeros(()).__reduce__()[0]
    scalar = np.float64(0.0).__reduce__()[0]
    assert callable(empty)
    assert callable(scalar)
    return {
        ("collections", "OrderedDict"): OrderedDict,
        ("numpy", "dtype"): np.dtype,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy.core.multiarray", "_reconstruct"): empty,
        ("numpy.core.multiarray", "scalar"): scalar,
        ("numpy.core.numeric", "_frombuffer"): _frombuffer,
        ("torch", "Size"): torch.Size,
        ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor_v2,
        ("torch.storage", "_load_from_bytes"): _storage,
    }


def _frombuffer(buffer: Any, dtype: Any, shape: Any, order: Any) -> Any:
    import numpy as np

    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)


def _storage(content: bytes) -> Any:
    """Numbers of a tensor, a pickle within the pickle, by torch's restricted reader."""
    import torch

    return torch.load(io.BytesIO(content), weights_only=True)
