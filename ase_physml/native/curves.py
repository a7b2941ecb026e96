"""Curves of the distance: what a model learned of one distance, as tables.

The filters of attention and of the neighbour embedding depend on the element of the
receiver and the distance alone. Nodes hold value, slope and curvature, between which
quintic Hermite polynomials run: twice differentiable, so that forces are the gradient
of the energy to the last digit.

Nodes are equidistant in ``x = d / (1 + d)``, d in Å: dense where bonds are, and where
the exponential-normal basis is steepest.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ase_physml.models.physml.model import PhysML

Array = npt.NDArray[Any]

_FINENESS, _FEWEST = 18.0, 192

NODE = 3
"""Rows of a node: value, slope and curvature."""

_Curve = tuple[Array, Array, Array]
"""Value, first and second derivative by the distance."""


def nodes_of(model: PhysML) -> int:
    """Nodes of a curve: 18 in the width of the narrowest radial basis function."""
    steepest = math.exp(0.5 * float(numpy_of(model.basis.log_widths).max()))
    return max(_FEWEST, math.ceil(_FINENESS * model.config.alpha * steepest))


def spacing(model: PhysML) -> float:
    """Distance of two nodes in x."""
    cutoff = model.config.cutoff
    return float(cutoff / (1.0 + cutoff)) / (nodes_of(model) - 1)


def curves_of(model: PhysML, species: int) -> Array:
    """Curves of one element as receiver, times powers of the spacing.

    Args:
        model: The potential.
        species: Row of the element in the model's tables.

    Returns:
        (2 depth + 1, `NODE` rows a node, d) float64: D^K and D^V of each layer, the
        latter with the envelope that belongs to its weight, then the filter of the
        neighbours.
    """
    config = model.config
    step = spacing(model)
    x = step * np.arange(nodes_of(model))
    distance = x / (1.0 - x)
    # The last node is the cutoff itself, whatever rounding makes of it.
    distance[-1] = config.cutoff
    phi = _envelope(distance[:, None], config.cutoff)
    psi = _product(phi, _basis(model, species, distance[:, None]))
    weight = numpy_of(model.distance_filters.weight)
    filters = _silu(_linear(psi, weight, numpy_of(model.distance_filters.bias)))
    around = _linear(psi, numpy_of(model.neighbour_filter.weight), np.zeros(1))
    width = config.width
    found = []
    for layer in range(config.depth):
        for kind in range(2):
            first = (2 * layer + kind) * width
            value, slope, bend = (part[:, first : first + width] for part in filters)
            one = value, slope, bend
            found.append(one if kind == 0 else _product(phi, one))
    found.append(around)
    return np.stack([_by_node(one, distance[:, None], step) for one in found])


def _by_node(curve: _Curve, distance: Array, step: float) -> Array:
    """Derivatives by x / step: (nodes * 3, d)."""
    value, slope, bend = curve
    by_x = step * (1.0 + distance) ** 2
    by_xx = step**2 * 2.0 * (1.0 + distance) ** 3
    nodes = np.stack([value, slope * by_x, bend * by_x**2 + slope * by_xx], axis=1)
    return nodes.reshape(-1, value.shape[1])


def _envelope(distance: Array, cutoff: float) -> _Curve:
    """Cosine envelope (Eq 3)."""
    k = math.pi / cutoff
    cos, sin = np.cos(k * distance), np.sin(k * distance)
    return 0.5 * (cos + 1.0), -0.5 * k * sin, -0.5 * k**2 * cos


def _basis(model: PhysML, species: int, distance: Array) -> _Curve:
    """Exponential-normal basis without its envelope (Eq 2)."""
    alpha = model.config.alpha
    mu = numpy_of(model.basis.centres)[species]
    beta = np.exp(numpy_of(model.basis.log_widths)[species])
    decay = np.exp(-alpha * distance)
    off = decay - mu
    first = -2.0 * alpha * beta * off * decay
    second = 2.0 * alpha**2 * beta * decay * (decay + off)
    value = np.exp(-beta * off**2)
    return value, -first * value, (first**2 - second) * value


def _product(a: _Curve, b: _Curve) -> _Curve:
    return a[0] * b[0], a[0] * b[1] + a[1] * b[0], (
        a[0] * b[2] + 2.0 * a[1] * b[1] + a[2] * b[0]
    )  # fmt: skip


def _linear(curve: _Curve, weight: Array, bias: Array) -> _Curve:
    value, slope, bend = (part @ weight.T for part in curve)
    return value + bias, slope, bend


def _silu(curve: _Curve) -> _Curve:
    x, slope, bend = curve
    s = 1.0 / (1.0 + np.exp(-x))
    rise = s * (1.0 - s)
    first = s + x * rise
    second = rise * (2.0 + x * (1.0 - 2.0 * s))
    return x * s, first * slope, second * slope**2 + first * bend


def numpy_of(tensor: Tensor) -> Array:
    """Values in float64."""
    values: Array = tensor.detach().double().cpu().numpy()
    return values
