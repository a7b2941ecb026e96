"""Weights of a PhysML as loops take them."""

from typing import NamedTuple, cast

import numpy as np
from torch import nn

from ase_physml.models.physml.attention import AttentionBlock
from ase_physml.models.physml.model import PhysML
from ase_physml.native.curves import NODE, Array, nodes_of, numpy_of

VANISHES = 1e15
"""Largest exp(-x) in a SiLU, which is zero from there on in either precision."""


class Weights(NamedTuple):
    """Weights of a PhysML; those of LayerNorm are folded into what follows it.

    Attributes:
        base: Element features behind `combine`, (S, d).
        own: Element features as neighbours see them, (S, d).
        mix: `neighbour_mix` and `combine` as one, (d, d).
        mix_back: Its transpose, as all that end so.
        qkv: Queries, keys and values, (L, 3, d, d).
        qkv_back: Transposes.
        qkv_bias: (L, 3, d).
        out: Output of the heads, (L, d, d).
        out_back: Transposes.
        out_bias: (L, d).
        pair: First layers of pairs, of the first atom and the second, (2, d, d).
        pair_back: Transposes.
        pair_bias: (2, d).
        betas: Last layer of pairs, (5, d), halved: the mean over both orders.
        betas_bias: (5,), with what their numbers start from.
        atom: First layer of the atoms' head, (d, h).
        atom_back: Its transpose.
        atom_bias: (h,).
        atom_out: Last layer of the atoms' head, (h,).
        constants: Energies of elements, (S,).
        radii: Covalent radii, (S,) Å.
        curves: Of `curves_of`, (S, 2L + 1, nodes * 3, d).
        numbers: 1 and the largest exp(-x) of a SiLU, in the dtype of the weights.
    """

    base: Array
    own: Array
    mix: Array
    mix_back: Array
    qkv: Array
    qkv_back: Array
    qkv_bias: Array
    out: Array
    out_back: Array
    out_bias: Array
    pair: Array
    pair_back: Array
    pair_bias: Array
    betas: Array
    betas_bias: Array
    atom: Array
    atom_back: Array
    atom_bias: Array
    atom_out: Array
    constants: Array
    radii: Array
    curves: Array
    numbers: Array


def weights_of(model: PhysML, dtype: str) -> Weights:
    """Weights of a model, folded where two linear maps follow each other.

    Args:
        model: The potential.
        dtype: "float32" or "float64".

    Returns:
        All of them, but for the curves, which are zeros: see `curves_of`.
    """
    config, width = model.config, model.config.width
    own = np.concatenate(
        [numpy_of(model.embedding.weight), numpy_of(model.electronegativities)], axis=1
    )
    combine = numpy_of(model.combine.weight)
    mix = combine[:, width:] @ numpy_of(model.neighbour_mix.weight)
    qkv, qkv_bias = _queries_keys_values(model)
    out = np.zeros((config.depth, width, width))
    out_bias = np.zeros((config.depth, width))
    for layer, block in enumerate(_blocks(model)):
        out[layer] = numpy_of(block.out.weight)
        out_bias[layer] = numpy_of(block.out.bias)
    pair, pair_bias, betas, betas_bias = _pair_terms(model)
    atom, atom_bias, atom_out, constants = _atom_terms(model)
    nodes = NODE * nodes_of(model)
    shape = (len(config.elements), 2 * config.depth + 1, nodes, width)
    given = Weights(
        base=own @ combine[:, :width].T + numpy_of(model.combine.bias),
        own=own,
        mix=mix.T,
        mix_back=mix,
        qkv=qkv.swapaxes(-1, -2),
        qkv_back=qkv,
        qkv_bias=qkv_bias,
        out=out.swapaxes(-1, -2),
        out_back=out,
        out_bias=out_bias,
        pair=pair.swapaxes(-1, -2),
        pair_back=pair,
        pair_bias=pair_bias,
        betas=betas,
        betas_bias=betas_bias,
        atom=atom.T,
        atom_back=atom,
        atom_bias=atom_bias,
        atom_out=atom_out,
        constants=constants,
        radii=numpy_of(model.radii),
        curves=np.zeros(0),
        numbers=np.array([1.0, VANISHES]),
    )
    given = Weights(*(np.ascontiguousarray(array, dtype) for array in given))
    return given._replace(curves=np.zeros(shape, dtype))


def _behind_norm(weight: Array, bias: Array, norm: nn.LayerNorm) -> tuple[Array, Array]:
    """A linear map and its bias, with the weights of the LayerNorm before it."""
    return weight * numpy_of(norm.weight), bias + weight @ numpy_of(norm.bias)


def _blocks(model: PhysML) -> list[AttentionBlock]:
    return cast(list[AttentionBlock], list(model.blocks))


def _queries_keys_values(model: PhysML) -> tuple[Array, Array]:
    depth, width = model.config.depth, model.config.width
    weights, biases = np.zeros((depth, 3, width, width)), np.zeros((depth, 3, width))
    for layer, block in enumerate(_blocks(model)):
        linear = block.queries_keys_values
        weight, bias = _behind_norm(
            numpy_of(linear.weight), numpy_of(linear.bias), block.norm
        )
        weights[layer] = weight.reshape(3, width, width)
        biases[layer] = bias.reshape(3, width)
    return weights, biases


def _pair_terms(model: PhysML) -> tuple[Array, Array, Array, Array]:
    """First layers and their biases, halved last one, and its with the start's."""
    width, module = model.config.width, model.pair_energy
    if module is None:
        both = np.zeros((2, width, width)), np.zeros((2, width))
        return *both, np.zeros((5, width)), np.zeros(5)
    first = _behind_norm(
        numpy_of(module.first.weight), numpy_of(module.first.bias), model.norm
    )
    second = _behind_norm(numpy_of(module.second.weight), np.zeros(width), model.norm)
    bias = numpy_of(module.betas.bias) + np.array([0.0, *module.start, 0.0])
    return (
        np.stack([first[0], second[0]]),
        np.stack([first[1], second[1]]),
        0.5 * numpy_of(module.betas.weight),
        bias,
    )


def _atom_terms(model: PhysML) -> tuple[Array, Array, Array, Array]:
    """First layer and its bias, last layer, and energies of elements with its bias."""
    width, constants = model.config.width, numpy_of(model.element_bias)
    hidden = width // 2
    if model.atom_head is None:
        empty = np.zeros((hidden, width)), np.zeros(hidden), np.zeros(hidden)
        return *empty, constants
    first, _, last = cast(list[nn.Linear], list(model.atom_head))
    weight, bias = _behind_norm(
        numpy_of(first.weight), numpy_of(first.bias), model.norm
    )
    return weight, bias, numpy_of(last.weight)[0], constants + numpy_of(last.bias)
