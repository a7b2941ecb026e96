"""PhysML in C++ for one core of a CPU: the default where it applies.

Small molecules are too little work for a framework, whose calls take longer than the
arithmetic. Here each learned function of one distance is a table (`curves`), and the
rest are loops forward and back (`src/gradient.hpp`), without torch. It applies to
models without a [CLS] token and without the A-mask; results are those of the torch
model.

Why C++: the library is part of the wheel, has code for each kind of vector unit and
chooses among them when it is loaded, so that the first evaluation takes no longer than
the next. It knows nothing of Python or torch, and serves all versions of them. Where
it was not built with the package it is built at the first use, once for a user, which
needs a compiler; without one torch evaluates. Loops that numba compiles (what was here
before) need no compiler, but twenty seconds on each machine and one in each process;
AOTInductor packages hold one processor's code and need torch's dispatch around them.

Tables are quintic, with as many nodes as slopes need (`curves.nodes_needed`): finer
ones are more accurate than anybody asks, and no longer fit into a core's cache.
Energies of `qm9.pt` and `reactions.pt` for structures of 20 and 52 atoms, each
displaced by 0.05 Å, differ from the torch model's by less than 1e-8 eV, forces by less
than 1e-7 eV/Å, in float64.
"""

import warnings
from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
import torch
from torch import Tensor

from ase_physml.errors import PotentialError
from ase_physml.graph import AtomGraph, EdgeList, PeriodicEdgeList
from ase_physml.models.energy_model import Energies, EnergyModel
from ase_physml.models.physml.model import PhysML
from ase_physml.native.binding import failure
from ase_physml.native.evaluator import NativePhysML, Pairs


def obstacle(model: EnergyModel) -> str:
    """Reason why a model has no native evaluation, or ""."""
    if not isinstance(model, PhysML):
        return "is no PhysML"
    if model.config.cls != "none":
        return f"has a [CLS] token (cls={model.config.cls!r})"
    if model.config.pair_energy and model.config.pair_terms == "printed":
        return "has pair terms as printed (pair_terms='printed')"
    return "has the A-mask (a_mask=True)" if model.config.a_mask else ""


@lru_cache(maxsize=16)
def native_of(model: PhysML) -> NativePhysML:
    """Calculators that share a model share its tables."""
    return NativePhysML(model)


@cache
def warn_of_failure(reason: str) -> None:
    """Say once that torch computes because there is no native code."""
    warnings.warn(
        f"potentials are evaluated by torch, several times slower for small molecules, "
        f"since their native code cannot be used: {reason}",
        stacklevel=2,
    )


def evaluate_graph(
    model: PhysML, graph: AtomGraph
) -> tuple[Energies, Tensor, Tensor | None] | None:
    """Evaluate a batch of structures of any kind.

    Returns:
        Energies without their reference, float64; forces (*A, 3) in eV/Å; gradients by
        strain (M, 3, 3) in eV, of cells. None where the model's numbers are out of
        range.
    """
    native = native_of(model)
    double = graph.replace(positions=graph.positions.detach().double())
    numbers, pairs = graph.numbers.flatten().numpy(), None
    if isinstance(double, PeriodicEdgeList):
        double = double.replace(
            cell=double.cell.detach().double(), pair_shifts=double.pair_shifts.double()
        )
    if isinstance(double, EdgeList):
        n_atoms = double.counts.numpy()
        cells = double.cell.numpy() if isinstance(double, PeriodicEdgeList) else None
        pairs = Pairs(double.pairs.numpy(), double.pair_vectors().numpy(), cells)
    else:
        n_atoms = np.full(*graph.numbers.shape)
    positions = double.positions.reshape(-1, 3).numpy()
    found = native.evaluate(numbers, positions, n_atoms, pairs)
    if not found.exact:
        return None
    shape, charges = graph.numbers.shape, None
    atoms = torch.from_numpy(found.energies).reshape(shape)
    molecules = double.sum_atoms(atoms.unsqueeze(-1)).squeeze(-1)
    if model.config.has_charges:
        charges = torch.from_numpy(found.charges).to(graph.positions.dtype)
        charges = charges.reshape(shape)
    forces = torch.from_numpy(found.forces).to(graph.positions.dtype)
    periodic = isinstance(graph, PeriodicEdgeList)
    by_strain = torch.from_numpy(found.by_strain) if periodic else None
    return Energies(molecules, atoms, None, charges), forces, by_strain


def check_able(members: Sequence[EnergyModel], device: torch.device, name: str) -> None:
    """Refuse what native code cannot do.

    Raises:
        PotentialError: Naming the device, the model's part, or why there is none.
    """
    if device.type != "cpu":
        raise PotentialError(f"backend='native' is for the CPU, not for {device}")
    for reason in filter(None, map(obstacle, members)):
        raise PotentialError(f"{name} {reason}, which backend='native' cannot do")
    if reason := failure():
        raise PotentialError(f"backend='native' cannot be used: {reason}")
