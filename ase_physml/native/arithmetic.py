"""Functions of numbers and rows that vectorise, and how loops are compiled.

Math libraries compute one exponential at a time, here it is a polynomial: eight at a
time where the processor has registers for them.
"""

from typing import Any

import numpy as np
from numba import njit
from numba.core.compiler import Compiler

Array = Any
"""NumPy array, or a number, of the type that comes: loops are compiled for it."""

jit: Any = njit

MAGIC = 1.5 * 2.0**52  # a whole number added to it is in its last bits
LOG2_E, LN2 = 1.4426950408889634, 0.6931471805599453
HALF_BITS = 0x3FE6A09E667F3BCD  # of the square root of 1/2
EPSILON = 1e-5  # of LayerNorm


class _Distinct(Compiler):
    """Arrays that a function is given do not overlap, or loops would not vectorise."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)  # type: ignore[no-untyped-call]
        self.state.flags.noalias = True


OPTIONS = {"nogil": True, "fastmath": True, "error_model": "numpy"}
_ALONE = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
inline = jit(**OPTIONS, **_ALONE, forceinline=True)
loops = jit(**OPTIONS, **_ALONE, pipeline_class=_Distinct)
inner_loops = jit(**OPTIONS, **_ALONE, pipeline_class=_Distinct, forceinline=True)


def entry(function: Any) -> Any:
    """Compile a function that Python calls, and keep it on disk if there is room."""
    try:
        return jit(cache=True, **OPTIONS)(function)
    except RuntimeError:
        # No folder may be written to: each process compiles anew.
        return jit(**OPTIONS)(function)


@inline
def _bits(x: Array) -> Array:
    return np.float64(x).view(np.int64)


@inline
def _float(bits: Array) -> Array:
    return np.int64(bits).view(np.float64)


@inline
def exp(x: Array) -> Array:
    """Exponential for |x| < 700, in steps that vectorise."""
    n = np.floor(x * LOG2_E + 0.5)
    r = x - n * LN2
    p = 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    return p * _float((_bits(n + MAGIC) + 1023) << 52)


@inline
def log(x: Array) -> Array:
    """Natural logarithm of a positive number, in steps that vectorise."""
    bits = _bits(x)
    shift = (bits - HALF_BITS) >> 52
    m = _float(bits - (shift << 52))
    s = (m - 1.0) / (m + 1.0)
    q = s * s
    p = 1.0 / 21.0
    p = p * q + 1.0 / 19.0
    p = p * q + 1.0 / 17.0
    p = p * q + 1.0 / 15.0
    p = p * q + 1.0 / 13.0
    p = p * q + 1.0 / 11.0
    p = p * q + 1.0 / 9.0
    p = p * q + 1.0 / 7.0
    p = p * q + 1.0 / 5.0
    p = p * q + 1.0 / 3.0
    p = p * q + 1.0
    return shift * LN2 + 2.0 * s * p


@inline
def clip(x: Array, low: float, high: float) -> Array:
    """Nearest number between two."""
    x = low if x < low else x
    return high if x > high else x


@inline
def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x))."""
    return 1.0 / (1.0 + exp(clip(-x, -600.0, 600.0)))


@inline
def softplus(x: Array) -> Array:
    """ln(1 + exp(x))."""
    return (x if x > 0.0 else 0.0) + log(1.0 + exp(clip(-abs(x), -600.0, 0.0)))


@loops
def add_product(x: Array, weight: Array, out: Array) -> None:
    """Add x @ weight to out, of (N, K), (K, M) and (N, M)."""
    n_in, n_out = weight.shape
    for i in range(x.shape[0]):
        row, given = out[i], x[i]
        k = 0
        while k + 8 <= n_in:
            a, b, c, d = given[k], given[k + 1], given[k + 2], given[k + 3]
            e, f, g, h = given[k + 4], given[k + 5], given[k + 6], given[k + 7]
            w0, w1, w2, w3 = weight[k], weight[k + 1], weight[k + 2], weight[k + 3]
            w4, w5, w6, w7 = weight[k + 4], weight[k + 5], weight[k + 6], weight[k + 7]
            for j in range(n_out):
                row[j] += (a * w0[j] + b * w1[j] + c * w2[j] + d * w3[j]) + (
                    e * w4[j] + f * w5[j] + g * w6[j] + h * w7[j]
                )
            k += 8
        while k < n_in:
            a, w0 = given[k], weight[k]
            for j in range(n_out):
                row[j] += a * w0[j]
            k += 1


@loops
def normalise(x: Array, out: Array, scale: Array) -> None:
    """LayerNorm of rows, without weights; 1 / sigma of each."""
    width = x.shape[1]
    for i in range(x.shape[0]):
        row, into = x[i], out[i]
        total, square = 0.0, 0.0
        for c in range(width):
            total += row[c]
        mean = total / width
        for c in range(width):
            square += (row[c] - mean) ** 2
        scale[i] = 1.0 / np.sqrt(square / width + EPSILON)
        for c in range(width):
            into[c] = (row[c] - mean) * scale[i]


@loops
def normalise_back(by_out: Array, out: Array, scale: Array, by_x: Array) -> None:
    """Gradient by the rows of `_normalise`, added to ``by_x``."""
    width = out.shape[1]
    for i in range(out.shape[0]):
        gradient, row, into = by_out[i], out[i], by_x[i]
        mean, along = 0.0, 0.0
        for c in range(width):
            mean += gradient[c]
            along += gradient[c] * row[c]
        mean /= width
        along /= width
        for c in range(width):
            into[c] += scale[i] * (gradient[c] - mean - row[c] * along)


@loops
def add_rows(row: Array, out: Array) -> None:
    """Add a row to all, in place."""
    for i in range(out.shape[0]):
        into = out[i]
        for c in range(out.shape[1]):
            into[c] += row[c]
