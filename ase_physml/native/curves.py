"""Curves of the distance: what a model learned of one distance, as tables.

The filters of attention and of the neighbour embedding depend on the element of the
receiver and the distance alone. Nodes hold value, slope and curvature, between which
quintic Hermite polynomials run: twice differentiable, so that forces are the gradient
of the energy to the last digit.

Nodes are equidistant in ``x = d / (1 + d)``, d in Å: dense where bonds are, and where
the exponential-normal basis is steepest. All is differentiable in the weights.
"""

import math
from typing import Any

import torch
from torch import Tensor

from ase_physml.models.physml.model import PhysML
from ase_physml.native.binding import Tables, shared_object
from ase_physml.native.channels import filled, places, put, put_first, width_of

FINENESS, _FEWEST = 14.0, 160
# Nodes whose error is looked at, and the largest error of a slope of any curve, 1/Å.
# Forces, to which one curve adds little, are then exact to less than 1e-7 eV/Å.
_COARSE, _ACCURATE, _ORDER = 240, 1e-6, 5

NODE = 3
"""Rows of a node: value, slope and curvature."""

_Curve = tuple[Tensor, Tensor, Tensor]
"""Value, first and second derivative by the distance."""


def nodes_of(model: PhysML, fineness: float = FINENESS, fewest: int = _FEWEST) -> int:
    """Nodes of a curve: 14 in the width of the narrowest radial basis function."""
    steepest = math.exp(0.5 * float(model.basis.log_widths.detach().max()))
    return max(fewest, math.ceil(fineness * model.config.alpha * steepest))


def nodes_needed(model: PhysML) -> int:
    """Fewest nodes whose curves are right between them; the larger ones fill caches.

    The narrowest basis function, which `nodes_of` looks at, may matter little.
    """
    most = nodes_of(model)
    if most <= _COARSE:
        return most
    species = torch.arange(len(model.config.elements) + 1, device="cpu")
    excess = error_between(model, species, _COARSE) / _ACCURATE
    # Errors fall with the fifth power of the spacing; a tenth more to be sure.
    finer = math.ceil(1.1 * _COARSE * math.pow(excess, 1 / _ORDER))
    return max(_COARSE, min(finer, most))


def error_between(model: PhysML, species: Tensor, nodes: int) -> float:
    """Largest error of a curve's slope in the middle between two nodes, 1/Å."""
    width, depth = width_of(model.config), model.config.depth
    found = curves_of(model, species, 2 * nodes - 1)
    sizes = [NODE * (2 * nodes - 1) * w for w in [2 * width] * depth + [width]]
    worst = 0.0
    for block in found.split(sizes, dim=1):
        each = block.unflatten(1, (2 * nodes - 1, NODE, -1)).unbind(2)
        # Of a step that is twice as long.
        value, slope, bend = (2.0**k * rows[:, ::2] for k, rows in enumerate(each))
        rise = 15 / 8 * value.diff(dim=1) + bend.diff(dim=1) / 32
        rise = rise - 7 / 16 * (slope[:, :-1] + slope[:, 1:])
        worst = max(worst, float((rise - 2.0 * each[1][:, 1::2]).abs().max()))
    return worst / spacing(model, nodes)


def spacing(model: PhysML, nodes: int) -> float:
    """Distance of two nodes in x."""
    cutoff = model.config.cutoff
    return float(cutoff / (1.0 + cutoff)) / (nodes - 1)


def curves_of(
    model: PhysML, species: Tensor, nodes: int, dtype: torch.dtype = torch.float64
) -> Tensor:
    """Curves of elements as receivers, times powers of the spacing.

    Args:
        model: The potential.
        species: Rows of the elements in the model's tables, (S,).
        nodes: Of each curve.
        dtype: Precision.

    Returns:
        (S, `NODE` * nodes * W * (2 depth + 1)): of each layer D^K and D^V side
        by side, the latter with the envelope that belongs to its weight; then the
        filter of the neighbours.
    """
    config = model.config
    step = spacing(model, nodes)
    x = step * torch.arange(nodes, dtype=torch.float64, device="cpu")
    distance = x / (1.0 - x)
    # The last node is the cutoff itself, whatever rounding makes of it.
    distance[-1] = config.cutoff
    distance = distance.unsqueeze(-1).to(dtype)
    phi = _envelope(distance, config.cutoff)
    phi = _envelope(distance, config.cutoff)
    psi = _product(phi, _basis(model, species, distance))
    size = filled(config.n_basis)
    basis = torch.stack([put_first(part, size, 2) for part in psi])
    by_node = step * (1.0 + distance) ** 2
    bend = step**2 * 2.0 * (1.0 + distance) ** 3
    factors = torch.cat([*phi, by_node, bend], dim=1).double()
    place = places(config, config.width // config.heads)
    width, both = width_of(config), 2 * config.depth
    linear = model.distance_filters
    filters = put(linear.weight.to(dtype).unflatten(0, (both, -1)), place, width, 1)
    bias = put(linear.bias.to(dtype).unflatten(0, (both, -1)), place, width, 1)
    around = put(model.neighbour_filter.weight.to(dtype), place, width, 0)
    filters = torch.cat([filters.flatten(0, 1), around])
    bias = torch.cat([bias.flatten(), bias.new_zeros(width)])
    found: Tensor = _Tabulation.apply(
        basis, put_first(filters, size, 1), bias, factors, config.depth
    )
    return found


class _Tabulation(torch.autograd.Function):
    """Nodes from a basis (3, S, nodes, F) and filters (C, F), as in tables.hpp."""

    @staticmethod
    def forward(
        ctx: Any,
        basis: Tensor,
        filters: Tensor,
        bias: Tensor,
        factors: Tensor,
        depth: int,
    ) -> Tensor:
        """Fill the curves."""
        _, species, nodes, _ = basis.shape
        products = basis.new_empty(3, species, nodes, len(bias))
        curves = basis.new_empty(species, NODE * nodes * len(bias))
        parts = basis, filters, bias, factors, products
        ctx.save_for_backward(*parts)
        ctx.depth = depth
        given = _tables(parts, depth, curves)
        shared_object().physml_tabulate(given, basis.element_size())
        return curves

    @staticmethod
    def backward(ctx: Any, by_curves: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients by the basis, filters and biases."""
        by_curves = by_curves.contiguous()
        given = _tables(ctx.saved_tensors, ctx.depth, by_curves)
        found = [torch.empty_like(one) for one in ctx.saved_tensors[:3]]
        places = [one.data_ptr() for one in found]
        given.by_basis, given.by_filters, given.by_bias = places
        shared_object().physml_tabulate(given, by_curves.element_size())
        return *found, None, None


def _tables(given: tuple[Tensor, ...], depth: int, curves: Tensor) -> Tables:
    basis, filters, bias, factors, products = given
    _, species, nodes, functions = basis.shape
    tables = Tables(species, nodes, functions, len(bias) // (2 * depth + 1), depth)
    tables.factors, tables.basis = factors.data_ptr(), basis.data_ptr()
    tables.filters, tables.bias = filters.data_ptr(), bias.data_ptr()
    tables.products, tables.curves = products.data_ptr(), curves.data_ptr()
    return tables


def _envelope(distance: Tensor, cutoff: float) -> _Curve:
    """Cosine envelope (Eq 3)."""
    k = math.pi / cutoff
    cos, sin = torch.cos(k * distance), torch.sin(k * distance)
    return 0.5 * (cos + 1.0), -0.5 * k * sin, -0.5 * k**2 * cos


def _basis(model: PhysML, species: Tensor, distance: Tensor) -> _Curve:
    """Exponential-normal basis without its envelope (Eq 2), (S, nodes, n_basis)."""
    alpha = model.config.alpha
    mu = model.basis.centres.to(distance)[species].unsqueeze(1)
    beta = model.basis.log_widths.to(distance)[species].exp().unsqueeze(1)
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
