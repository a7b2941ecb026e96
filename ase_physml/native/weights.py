"""Weights of a PhysML as native code takes them: joined in one array."""

from typing import cast

import torch
from torch import Tensor, nn

from ase_physml.models.physml.attention import AttentionBlock
from ase_physml.models.physml.model import PhysML
from ase_physml.native.channels import (
    directed_of,
    filled,
    places,
    put,
    put_first,
    width_of,
)


def weights_of(model: PhysML) -> Tensor:
    """Weights in the order of `Weights` in weights.hpp, float64; differentiable.

    Two linear maps that follow each other are one, and the weights of LayerNorm part of
    what follows it.
    """
    given = _Weights(model)
    parts = [*given.embedding(), *given.blocks(), *given.heads(), *given.elements()]
    return torch.cat([part.flatten() for part in parts])


def outputs_of(model: PhysML) -> tuple[int, int, int]:
    """Filled widths of the atoms' head and the charges' flow, and numbers of pairs."""
    config = model.config
    hidden = filled(config.width // 2) if model.atom_head is not None else 0
    if model.pair_energy is None:
        return hidden, 0, 0
    if model.charges is None:
        return hidden, 0, 5
    return hidden, filled(model.charges.flow.out_features // 2), 3


class _Weights:
    def __init__(self, model: PhysML) -> None:
        self.model = model
        config = self.config = model.config
        self.place = places(config, config.width // config.heads)
        self.width = width_of(config)

    def _channels(self, values: Tensor, axis: int = -1) -> Tensor:
        return put(values.double(), self.place, self.width, axis)

    def _square(self, weight: Tensor) -> Tensor:
        return self._channels(self._channels(weight, 0), 1)

    def embedding(self) -> list[Tensor]:
        """Base, own and mix."""
        model, d = self.model, self.model.config.width
        chi = model.electronegativities.double()
        own = torch.cat([model.embedding.weight.double(), chi], dim=1)
        combine = model.combine.weight.double()
        base = own @ combine[:, :d].T + model.combine.bias.double()
        mix = combine[:, d:] @ model.neighbour_mix.weight.double()
        return [self._channels(base), self._channels(own), self._square(mix)]

    def blocks(self) -> list[Tensor]:
        """Of each layer qkv, its bias, out, its bias, squares."""
        found = []
        for block in cast(list[AttentionBlock], list(self.model.blocks)):
            weight, bias = _behind_norm(block.queries_keys_values, block.norm)
            weight, bias = weight.unflatten(0, (3, -1)), bias.unflatten(0, (3, -1))
            sent, sent_bias, squares = self._directed(block)
            found += [self._channels(self._channels(weight, 1), 2), sent]
            found += [self._channels(bias), sent_bias, self._square(block.out.weight)]
            found += [self._channels(block.out.bias), squares]
        return found

    def _directed(self, block: AttentionBlock) -> tuple[Tensor, Tensor, Tensor]:
        """What atoms send with directions, its bias, and features from squares."""
        heads = block.directed
        if heads is None:
            empty = block.out.weight.double()[:0]
            return empty, empty, empty
        place, size = places(self.config, heads.channels), directed_of(self.config)
        weight, bias = _behind_norm(heads.values, block.norm)
        out = put(heads.out.weight.double().unflatten(1, (2, -1)), place, size, 2)
        weight = put(self._channels(weight), place, size, 0)
        return weight, put(bias, place, size), self._channels(out, 0)

    def heads(self) -> list[Tensor]:
        """All that reads the last features: first layers, biases, last layers."""
        model, hidden = self.model, outputs_of(self.model)[0]
        first: list[tuple[Tensor, Tensor]] = []
        empty = model.element_bias.double()[:0]
        betas, betas_bias, atom_out = empty, empty, empty
        constants = model.element_bias.double()
        if (pairs := model.pair_energy) is not None:
            for linear in (pairs.first, pairs.second):
                weight, bias = _behind_norm(linear, model.norm)
                first.append((self._channels(weight, 0), self._channels(bias)))
            start = (0.0,) * 3 if pairs.physical else (0.0, *pairs.start, 0.0)
            betas = 0.5 * self._channels(pairs.betas.weight)
            # Halved is the sum of both orders, bias included.
            betas_bias = pairs.betas.bias.double() + constants.new_tensor(start)
        if model.atom_head is not None:
            linear, _, last = cast(list[nn.Linear], list(model.atom_head))
            weight, bias = _behind_norm(linear, model.norm)
            first.append((put_first(weight, hidden), put_first(bias, hidden)))
            atom_out = put_first(last.weight.double()[0], hidden)
            constants = constants + last.bias.double()
        scale = constants.new_zeros(1)
        if model.charges is not None:
            scale = model.charges.scale.double().reshape(1)
            weight, bias = _behind_norm(model.charges.flow, model.norm)
            size = outputs_of(model)[1]
            for some, other in zip(weight.chunk(2), bias.chunk(2), strict=True):
                first.append((put_first(some, size), put_first(other, size)))
        weights = [self._channels(weight) for weight, _ in first]
        biases = [bias for _, bias in first]
        return [*weights, *biases, betas, betas_bias, atom_out, constants, scale]

    def elements(self) -> list[Tensor]:
        """Mask of the channels, and data of elements."""
        model = self.model
        mask = self._channels(torch.ones(len(self.place), device="cpu"))
        depths = model.contact_depths.double().sqrt()
        chi = model.electronegativities.double()
        radii, contacts = model.radii.double(), model.contact_radii.double()
        return [mask, radii, chi, contacts, depths]


def _behind_norm(linear: nn.Linear, norm: nn.LayerNorm) -> tuple[Tensor, Tensor]:
    """A linear map and its bias, with the weights of the LayerNorm before it."""
    weight = linear.weight.double()
    bias = weight @ norm.bias.double()
    if linear.bias is not None:
        bias = bias + linear.bias.double()
    return weight * norm.weight.double(), bias
