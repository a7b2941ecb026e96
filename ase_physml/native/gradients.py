"""Gradients by the weights of a PhysML, energies and forces among the outputs.

A loss L of energies E, forces F = -dE/dx and charges q has the gradient by weights t

    dL/dt = d/dt [sum_m dL/dE_m E_m + sum_i dL/dq_i q_i] - d/dt (v . dE/dx),  v = dL/dF.

The last term is a derivative of gradients by weights along v: the difference of two,
at x + h v and x - h v, over 2 h. Their mean serves for the first term. No second
derivative is taken anywhere, and a step costs three passes.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ase_physml.native.binding import Batch, Model, shared_object
from ase_physml.native.evaluator import transposed_size
from ase_physml.segment import segment_max

STEPS = {torch.float32: 1e-3, torch.float64: 1e-4}
"""Largest displacement of an atom for differences, Å: what is lost by rounding is as
much as what is by the step."""

_BYTES = {torch.float32: 4, torch.float64: 8}


class Molecules(NamedTuple):
    """Molecules of a batch.

    Attributes:
        species: Rows of elements in the model's tables, (A,) int64.
        starts: First atom of each molecule, and the end, (M + 1,) int64.
        positions: (A, 3) Å float64.
    """

    species: Tensor
    starts: Tensor
    positions: Tensor

    @property
    def size(self) -> int:
        """Number of molecules M."""
        return len(self.starts) - 1

    def of_atoms(self, values: Tensor) -> Tensor:
        """Values of molecules (M,) for each of their atoms, (A,)."""
        return values.repeat_interleave(self.starts.diff())

    def part(self, first: int, last: int) -> "Molecules":
        """Some of them."""
        begin, end = int(self.starts[first]), int(self.starts[last])
        starts = self.starts[first : last + 1] - begin
        return Molecules(self.species[begin:end], starts, self.positions[begin:end])

    def parts(self, count: int) -> list[tuple[int, int]]:
        """First and last of parts with about as many atoms each."""
        share = torch.arange(1, count) * int(self.starts[-1]) // count
        cuts = [0, *torch.searchsorted(self.starts, share).tolist(), self.size]
        return [(a, b) for a, b in pairwise(cuts) if a < b]


class Learning(NamedTuple):
    """A model in training: its sizes and weights of the moment, of one dtype.

    Attributes:
        model: Sizes; addresses are filled in here.
        weights: Of `weights_of`.
        curves: Of `curves_of`, of all elements.
    """

    model: Model
    weights: Tensor
    curves: Tensor

    @property
    def size(self) -> int:
        """Bytes of a number."""
        return _BYTES[self.weights.dtype]

    @property
    def can_learn(self) -> bool:
        """Gradients go on to the model's parameters."""
        return self.weights.requires_grad

    def prepared(self) -> tuple[Model, Tensor]:
        """The model with addresses, and an array that has to stay."""
        model = Model.from_buffer_copy(self.model)
        transposed = self.weights.new_empty(transposed_size(model))
        model.weights, model.curves = self.weights.data_ptr(), self.curves.data_ptr()
        model.transposed = transposed.data_ptr()
        shared_object().physml_prepare(model, self.size)
        return model, transposed


class Answer(NamedTuple):
    """Energies of atoms (A,) eV, charges (A,) e, forces (A, 3) eV/Å, all float64."""

    energies: Tensor
    charges: Tensor
    forces: Tensor
    largest: float


def evaluate(learning: Learning, molecules: Molecules) -> Answer:
    """Output of a model for molecules."""
    model, _kept = learning.prepared()
    atoms, parts = len(molecules.species), molecules.parts(torch.get_num_threads())
    energies, charges = torch.zeros(2, atoms, dtype=torch.float64)
    forces = torch.zeros(atoms, 3, dtype=torch.float64)

    def run(part: tuple[int, int]) -> float:
        begin = int(molecules.starts[part[0]])
        some = molecules.part(*part)
        strain = torch.zeros(some.size, 9, dtype=torch.float64)
        batch = _batch(some, energies[begin:], charges[begin:])
        batch.forces, batch.strain = forces[begin:].data_ptr(), strain.data_ptr()
        shared_object().physml_evaluate(model, batch, learning.size)
        return float(batch.largest)

    return Answer(energies, charges, forces, max(_in_threads(run, parts)))


def gradients(
    learning: Learning, molecules: Molecules, by_energies: Tensor, by_charges: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients by weights and curves of ``sum_m a_m E_m + sum_i c_i q_i``.

    Args:
        learning: The model.
        molecules: Molecules.
        by_energies: a, (M,).
        by_charges: c, (A,).
    """
    model, _kept = learning.prepared()
    a, c = by_energies.double().contiguous(), by_charges.double().contiguous()
    parts = molecules.parts(torch.get_num_threads())

    def run(part: tuple[int, int]) -> tuple[Tensor, Tensor]:
        begin, some = int(molecules.starts[part[0]]), molecules.part(*part)
        found = torch.zeros_like(learning.weights), torch.zeros_like(learning.curves)
        rest = torch.zeros(5 * len(some.species) + 9 * some.size, dtype=torch.float64)
        atoms = len(some.species)
        batch = _batch(some, rest, rest[atoms:])
        places = rest[2 * atoms :].data_ptr(), rest[5 * atoms :].data_ptr()
        batch.forces, batch.strain = places
        batch.by_energies = a[part[0] :].data_ptr()
        batch.by_charges = c[begin:].data_ptr()
        batch.by_weights, batch.by_curves = (one.data_ptr() for one in found)
        shared_object().physml_evaluate(model, batch, learning.size)
        return found

    each = _in_threads(run, parts)
    weights, curves = each[0]
    for more_weights, more_curves in each[1:]:
        weights += more_weights
        curves += more_curves
    return weights, curves


def _batch(some: Molecules, energies: Tensor, charges: Tensor) -> Batch:
    batch = Batch(some.size, len(some.species), -1)
    batch.species, batch.starts = some.species.data_ptr(), some.starts.data_ptr()
    batch.positions = some.positions.data_ptr()
    batch.energies, batch.charges = energies.data_ptr(), charges.data_ptr()
    # Addresses know nothing of their owners: the molecules have to stay.
    batch.kept = some
    return batch


def _in_threads(run: Callable[[tuple[int, int]], Any], parts: Any) -> list[Any]:
    if len(parts) < 2:
        return [run(part) for part in parts]
    with ThreadPoolExecutor(len(parts)) as pool:
        return list(pool.map(run, parts))


class Evaluation(torch.autograd.Function):
    """Energies (M,), forces (A, 3) and charges (A,) with gradients by the weights."""

    @staticmethod
    def forward(
        ctx: Any, weights: Tensor, curves: Tensor, model: Model, molecules: Molecules
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Evaluate; the last output is the largest hidden feature of pairs."""
        found = evaluate(Learning(model, weights, curves), molecules)
        ctx.save_for_backward(weights, curves)
        ctx.model, ctx.molecules = model, molecules
        owner = molecules.of_atoms(torch.arange(molecules.size))
        energies = found.energies.new_zeros(molecules.size)
        energies.index_add_(0, owner, found.energies)
        largest = energies.new_tensor(found.largest)
        ctx.mark_non_differentiable(largest)
        ctx.set_materialize_grads(False)
        return energies, found.forces, found.charges, largest

    @staticmethod
    def backward(
        ctx: Any,
        by_energies: Tensor | None,
        by_forces: Tensor | None,
        by_charges: Tensor | None,
        _: None,
    ) -> tuple[Tensor | None, ...]:
        """Gradients by weights and curves."""
        molecules: Molecules = ctx.molecules
        learning = Learning(ctx.model, *ctx.saved_tensors)
        positions = molecules.positions
        a = positions.new_zeros(molecules.size) if by_energies is None else by_energies
        c = positions.new_zeros(len(positions)) if by_charges is None else by_charges
        if by_forces is None:
            return *gradients(learning, molecules, a, c), None, None
        step = STEPS[learning.weights.dtype]
        length = by_forces.norm(dim=1)
        owner = molecules.of_atoms(torch.arange(molecules.size))
        longest = segment_max(length, owner, molecules.size)
        # Molecules with forces that do not matter stay where they are.
        h = torch.where(longest > 0.0, step / longest.clamp(min=1e-300), 0.0)
        over = torch.where(longest > 0.0, 0.5 * longest / step, 0.0)
        shift = molecules.of_atoms(h).unsqueeze(1) * by_forces
        ahead, back = (
            gradients(
                learning,
                molecules._replace(positions=(positions + sign * shift).contiguous()),
                0.5 * a - sign * over,
                0.5 * c,
            )
            for sign in (1.0, -1.0)
        )
        return ahead[0] + back[0], ahead[1] + back[1], None, None
