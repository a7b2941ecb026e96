"""Curves of the distance: what a model learned of one distance, as tables.

The filters of attention and of the neighbour embedding depend on the element of the
receiver and the distance alone. Nodes hold value, slope and curvature, between which
quintic Hermite polynomials run: twice differentiable, so that forces are the gradient
of the energy to the last digit.

Nodes are equidistant in ``x = d / (1 + d)``, d in Å: dense where bonds are, and where
the exponential-normal basis is steepest. All is differentiable in the weights.
"""

import math

import torch
from torch import Tensor

from ase_physml.models.physml.model import PhysML
from ase_physml.native.channels import places, put, width_of

FINENESS, _FEWEST = 18.0, 192

NODE = 3
"""Rows of a node: value, slope and curvature."""

_Curve = tuple[Tensor, Tensor, Tensor]
"""Value, first and second derivative by the distance."""


def nodes_of(model: PhysML, fineness: float = FINENESS, fewest: int = _FEWEST) -> int:
    """Nodes of a curve: 18 in the width of the narrowest radial basis function."""
    steepest = math.exp(0.5 * float(model.basis.log_widths.detach().max()))
    return max(fewest, math.ceil(fineness * model.config.alpha * steepest))


def spacing(model: PhysML, nodes: int) -> float:
    """Distance of two nodes in x."""
    cutoff = model.config.cutoff
    return float(cutoff / (1.0 + cutoff)) / (nodes - 1)


def curves_of(model: PhysML, species: Tensor, nodes: int) -> Tensor:
    """Curves of elements as receivers, times powers of the spacing.

    Args:
        model: The potential.
        species: Rows of the elements in the model's tables, (S,).
        nodes: Of each curve.

    Returns:
        (S, `NODE` * nodes * W * (2 depth + 1)) float64: of each layer D^K and D^V side
        by side, the latter with the envelope that belongs to its weight; then the
        filter of the neighbours.
    """
    config = model.config
    step = spacing(model, nodes)
    x = step * torch.arange(nodes, dtype=torch.float64)
    distance = x / (1.0 - x)
    # The last node is the cutoff itself, whatever rounding makes of it.
    distance[-1] = config.cutoff
    distance = distance.unsqueeze(-1)
    phi = _envelope(distance, config.cutoff)
    psi = _product(phi, _basis(model, species, distance))
    place, width, both = places(config), width_of(config), 2 * config.depth
    weight, bias = (_by_kind(p, both) for p in model.distance_filters.parameters())
    weight = put(weight, place, width, 1).flatten(0, 1)
    bias = put(bias, place, width, 1).flatten()
    keys_and_values = _silu(_linear(psi, weight, bias))
    filters = _enveloped(phi, keys_and_values, config.depth, width)
    around = put(model.neighbour_filter.weight.double(), place, width, 0)
    rows = [*filters, _linear(psi, around, None)]
    nodes_by_kind = [_by_node(one, distance, step).flatten(1) for one in rows]
    return torch.cat(nodes_by_kind, dim=1)


def _by_kind(values: Tensor, kinds: int) -> Tensor:
    found: Tensor = values.double().unflatten(0, (kinds, -1))
    return found


def _enveloped(phi: _Curve, filters: _Curve, depth: int, width: int) -> list[_Curve]:
    """Keys and values of each layer, the values times the envelope."""
    found = []
    for layer in range(depth):
        parts = [part.unflatten(-1, (depth, 2, width))[..., layer, :, :]
                 for part in filters]  # fmt: skip
        keys, values = ([part[..., k, :] for part in parts] for k in range(2))
        faded = _product(phi, (values[0], values[1], values[2]))
        joined = [torch.cat(both, -1) for both in zip(keys, faded, strict=True)]
        found.append((joined[0], joined[1], joined[2]))
    return found


def _by_node(curve: _Curve, distance: Tensor, step: float) -> Tensor:
    """Derivatives by x / step: (S, nodes, 3, d)."""
    value, slope, bend = curve
    by_x = step * (1.0 + distance) ** 2
    by_xx = step**2 * 2.0 * (1.0 + distance) ** 3
    return torch.stack([value, slope * by_x, bend * by_x**2 + slope * by_xx], dim=2)


def _envelope(distance: Tensor, cutoff: float) -> _Curve:
    """Cosine envelope (Eq 3)."""
    k = math.pi / cutoff
    cos, sin = torch.cos(k * distance), torch.sin(k * distance)
    return 0.5 * (cos + 1.0), -0.5 * k * sin, -0.5 * k**2 * cos


def _basis(model: PhysML, species: Tensor, distance: Tensor) -> _Curve:
    """Exponential-normal basis without its envelope (Eq 2), (S, nodes, n_basis)."""
    alpha = model.config.alpha
    mu = model.basis.centres.double()[species].unsqueeze(1)
    beta = model.basis.log_widths.double()[species].exp().unsqueeze(1)
    decay = torch.exp(-alpha * distance)
    off = decay - mu
    first = -2.0 * alpha * beta * off * decay
    second = 2.0 * alpha**2 * beta * decay * (decay + off)
    value = torch.exp(-beta * off**2)
    return value, -first * value, (first**2 - second) * value


def _product(a: _Curve, b: _Curve) -> _Curve:
    return a[0] * b[0], a[0] * b[1] + a[1] * b[0], (
        a[0] * b[2] + 2.0 * a[1] * b[1] + a[2] * b[0]
    )  # fmt: skip


def _linear(curve: _Curve, weight: Tensor, bias: Tensor | None) -> _Curve:
    value, slope, bend = (part @ weight.T for part in curve)
    return value if bias is None else value + bias, slope, bend


def _silu(curve: _Curve) -> _Curve:
    x, slope, bend = curve
    s = torch.sigmoid(x)
    rise = s * (1.0 - s)
    first = s + x * rise
    second = rise * (2.0 + x * (1.0 - 2.0 * s))
    return x * s, first * slope, second * slope**2 + first * bend
