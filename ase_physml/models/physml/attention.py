"""Molecular Attention Block: SiLU attention whose keys and values know distances.

Paper Sec 3.3, after the invariant path of TorchMD-NET's equivariant transformer
(Thölke & De Fabritiis 2022). There is no softmax: weights are SiLU(q k D^K) phi(d),
so that a neighbour fades out smoothly at the cutoff and nothing is normalised by the
number of neighbours.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from ase_physml.graph import AtomGraph

Cls = Literal["none", "one-way", "two-way"]

# SiLU(1.27846) = 1: a gate that starts here leaves the attention as it is.
_OPEN_GATE = 1.27846454


class BondGate(nn.Module):
    """A-mask: gate ``M_ij = SiLU(w_h A_ij + b_h)`` per head, open at the start."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(heads))
        self.bias = nn.Parameter(torch.full((heads,), _OPEN_GATE))

    def forward(self, bonded: Tensor) -> Tensor:
        """Adjacency (*E) to gates (*E, heads)."""
        return silu(bonded.unsqueeze(-1) * self.weight + self.bias)


class ClsRelations(nn.Module):
    """Learned stand-ins for D^K and D^V of pairs with [CLS], which has no position.

    Rows: [CLS] reads an atom, an atom reads [CLS], [CLS] reads itself. All start at
    one, which is plain attention.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.keys = nn.Parameter(torch.ones(3, width))
        self.values = nn.Parameter(torch.ones(3, width))


class DirectedHeads(nn.Module):
    """Angles between neighbours, of the weights that attention has for them.

    Beyond the paper, whose atoms know distances alone, so that bending out of a plane
    shows in them at second order: ``a_i = sum_j w_ij s_j r_ij/d_ij`` and the same with
    ``r r^T/d^2``, whose squares are sums over two neighbours of products with the
    cosine of their angle and its square.

    Args:
        width: Feature width d.
        heads: Attention heads H.
        channels: Channels s of each head.
    """

    def __init__(self, width: int, heads: int, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.values = nn.Linear(width, heads * channels, bias=False)
        self.out = nn.Linear(2 * heads * channels, width, bias=False)
        for linear in (self.values, self.out):
            nn.init.xavier_uniform_(linear.weight)

    def forward(
        self, graph: AtomGraph, x: Tensor, weights: Tensor, directions: Tensor
    ) -> Tensor:
        """Update of atoms (*A, d).

        Args:
            graph: Edges and sums.
            x: Normalised features, (*A, d).
            weights: Of attention, (*E, H).
            directions: Of `directions_of`, (*E, 9).
        """
        spread = weights.repeat_interleave(self.channels, dim=-1)
        sent = spread * graph.senders(self.values(x))
        products = sent.unsqueeze(-1) * directions.unsqueeze(-2)
        sums = graph.sum_edges(products.flatten(-2)).unflatten(-1, (-1, 9))
        first, second = sums.square().split([3, 6], dim=-1)
        update: Tensor = self.out(torch.cat([first.sum(-1), second.sum(-1)], dim=-1))
        return update


def directions_of(graph: AtomGraph, distance: Tensor) -> Tensor:
    """Unit vectors of edges and their products, (*E, 9); zero of self edges.

    The last six are ``x_a x_b`` for a <= b, those of a < b times the root of two, so
    that their squares add up to those of the whole matrix.
    """
    alone = graph.self_edge.to(distance.dtype)
    unit = graph.edge_vectors() / (distance + alone).unsqueeze(-1)
    x, y, z = unit.unbind(-1)
    crossed = torch.stack([x * y, y * z, z * x], dim=-1) * math.sqrt(2.0)
    return torch.cat([unit, unit.square(), crossed], dim=-1)


class AttentionBlock(nn.Module):
    """``x <- x + O(Attn(LN(x)))`` over atoms within the cutoff, self included.

    Args:
        width: Feature width d.
        heads: Attention heads H; must divide ``width``.
        cls: Messages between atoms and [CLS]: "none", "one-way" or "two-way".
        a_mask: Gate attention by the bond graph.
        angular: Channels of each head that know angles; see `DirectedHeads`.
    """

    def __init__(
        self, width: int, heads: int, cls: Cls, a_mask: bool, angular: int = 0
    ) -> None:
        super().__init__()
        self.heads = heads
        self.cls = cls
        self.norm = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.gate = BondGate(heads) if a_mask else None
        self.relations = ClsRelations(width) if cls != "none" else None
        for linear in (self.queries_keys_values, self.out):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)
        self.directed = DirectedHeads(width, heads, angular) if angular else None

    def forward(
        self,
        graph: AtomGraph,
        x: Tensor,
        x_cls: Tensor | None,
        phi: Tensor,
        keys_d: Tensor,
        values_d: Tensor,
        directions: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Update atom features and, if there is one, the [CLS] token.

        Args:
            graph: Edges and sums.
            x: (*A, d).
            x_cls: (M, d) or None.
            phi: Envelope, (*E).
            keys_d: D^K, (*E, d).
            values_d: D^V, (*E, d).
            directions: Of `directions_of`, (*E, 9); of blocks that know angles.
        """
        normed = self.norm(x)
        q, k, v = self.queries_keys_values(normed).chunk(3, dim=-1)
        logits = self._by_head(graph.receivers(q) * graph.senders(k) * keys_d)
        weights = silu(logits) * phi.unsqueeze(-1)
        if self.gate is not None and graph.bonded is not None:
            weights = weights * self.gate(graph.bonded)
        messages = self._spread(weights) * (graph.senders(v) * values_d)
        update = graph.sum_edges(messages)
        if self.directed is not None and directions is not None:
            update = update + self.directed(graph, normed, weights, directions)
        if x_cls is None or self.relations is None:
            return x + self.out(update), x_cls
        q0, k0, v0 = self.queries_keys_values(self.norm(x_cls)).chunk(3, dim=-1)
        keys, values = self.relations.keys, self.relations.values
        from_atoms = self._plain(graph.to_atoms(q0), k, v, keys[0], values[0])
        update_cls = graph.sum_atoms(from_atoms)
        update_cls = update_cls + self._plain(q0, k0, v0, keys[2], values[2])
        if self.cls == "two-way":
            k0, v0 = graph.to_atoms(k0), graph.to_atoms(v0)
            update = update + self._plain(q, k0, v0, keys[1], values[1])
        return x + self.out(update), x_cls + self.out(update_cls)

    def _plain(
        self, q: Tensor, k: Tensor, v: Tensor, key: Tensor, val: Tensor
    ) -> Tensor:
        return self._spread(silu(self._by_head(q * k * key))) * (v * val)

    def _by_head(self, product: Tensor) -> Tensor:
        """(..., d) to (..., H): sum over the channels of each head."""
        return product.reshape(*product.shape[:-1], self.heads, -1).sum(-1)

    def _spread(self, weights: Tensor) -> Tensor:
        """(..., H) to (..., d): each head's weight on all its channels."""
        width = self.out.in_features // self.heads
        return weights.unsqueeze(-1).expand(*weights.shape, width).flatten(-2)
