"""PhysML as compiled loops for one core of a CPU: the default where it applies.

Small molecules are too little work for a framework, whose calls take longer than the
arithmetic. Here each learned function of one distance is a table (`curves`), and the
rest are loops forward and back (`gradient`), without torch. It applies to models
without a [CLS] token, without the A-mask and with the paper's pair terms; results are
those of the torch model.

Why numba: it needs no compiler, comes with pip on Linux, macOS and Windows, and
compiles for the processor that it finds. A C++ extension would start at once, but needs
wheels for each platform, or a compiler where there is none, and code for each kind of
vector unit; AOTInductor packages hold one processor's code and need torch's dispatch
around them. The price is the first evaluation on a machine, which compiles for ten
seconds or more; later processes find the loops on disk, half a second with numba.

Tables are quintic, with 18 nodes or more in the narrowest radial basis function: of
`qm9.pt` and `reactions.pt` their error is 3e-11 of the filters' values and 2e-8 per Å
of their slopes at most, a fifth of it beyond 0.7 Å. Energies of structures up to 240
atoms differ from the torch model's by less than 1e-8 eV, forces by less than 1e-8 eV/Å,
in float64.
"""

import warnings
from collections.abc import Sequence
from functools import cache, lru_cache
from threading import Timer
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ase_physml.errors import PotentialError
from ase_physml.graph import AtomGraph, EdgeList, PeriodicEdgeList
from ase_physml.models.energy_model import EnergyModel
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.model import PhysML

# Seconds after which somebody wonders what is going on.
_LONG = 4.0

if TYPE_CHECKING:
    from ase_physml.native.evaluator import NativePhysML


def obstacle(model: EnergyModel) -> str:
    """Reason why a model has no native evaluation, or ""."""
    if not isinstance(model, PhysML):
        return "is no PhysML"
    if model.config.cls != "none":
        return f"has a [CLS] token (cls={model.config.cls!r})"
    if model.config.has_charges:
        return "has charges of atoms (pair_terms='physical')"
    return "has the A-mask (a_mask=True)" if model.config.a_mask else ""


@lru_cache(maxsize=16)
def native_of(model: PhysML) -> "NativePhysML":
    """Calculators that share a model share its tables."""
    from ase_physml.native.evaluator import NativePhysML

    return NativePhysML(model)


@cache
def failure(dtype: str) -> str:
    """Reason why numba cannot be used here, or ""; tried with a hydrogen molecule.

    Args:
        dtype: "float32" or "float64"; loops are compiled for each of them.
    """
    told = Timer(_LONG, warn_of_compilation)
    told.daemon = True
    told.start()
    try:
        config = PhysMLConfig(elements=(1,), width=2, depth=1, heads=1, n_basis=2)
        positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.74]])
        with torch.random.fork_rng(devices=[]):
            model = PhysML(config).to(getattr(torch, dtype))
        native = native_of(model)
        native.of_molecules(np.array([1, 1]), positions, np.array([2]))
    except Exception as error:
        # Whatever a compiler, its libraries and its cache on disk raise.
        return f"{type(error).__name__}: {error}".splitlines()[0]
    finally:
        told.cancel()
    return ""


def warn_of_compilation() -> None:
    """Say why the first evaluation on a machine takes so long."""
    warnings.warn(
        "numba compiles the loops that evaluate PhysML for this processor, once: some "
        "twenty seconds; backend='torch' does without",
        stacklevel=2,
    )


@cache
def warn_of_failure(reason: str) -> None:
    """Say once that torch computes because numba cannot."""
    warnings.warn(
        f"numba cannot be used ({reason}): potentials are evaluated by torch, which "
        "is several times slower for small molecules",
        stacklevel=2,
    )


def evaluate_graph(
    model: PhysML, graph: AtomGraph
) -> tuple[Tensor, Tensor, Tensor, Tensor | None] | None:
    """Evaluate a batch of structures of any kind.

    Returns:
        Energies of molecules (M,) and atoms (*A) without their reference in eV,
        float64; forces (*A, 3) in eV/Å; gradients by strain (M, 3, 3) in eV, of cells.
        None where the model's numbers are out of range.
    """
    native = native_of(model)
    double = graph.replace(positions=graph.positions.detach().double())
    numbers, by_strain = graph.numbers.flatten().numpy(), None
    if isinstance(double, EdgeList):
        if isinstance(double, PeriodicEdgeList):
            double = double.replace(
                cell=double.cell.detach().double(),
                pair_shifts=double.pair_shifts.double(),
            )
        vectors = double.pair_vectors().numpy()
        n_atoms = double.counts.numpy()
        found = native.of_pairs(numbers, n_atoms, double.pairs.numpy(), vectors)
    else:
        n_atoms = np.full(*graph.numbers.shape)
        positions = double.positions.reshape(-1, 3).numpy()
        found = native.of_molecules(numbers, positions, n_atoms)
    if not found.exact:
        return None
    atoms = torch.from_numpy(found.energies).reshape(graph.numbers.shape)
    molecules = double.sum_atoms(atoms.unsqueeze(-1)).squeeze(-1)
    if isinstance(double, PeriodicEdgeList):
        by_strain = torch.from_numpy(found.by_strain)
    forces = torch.from_numpy(found.forces).to(graph.positions.dtype)
    return molecules, atoms, forces, by_strain


def check_able(
    members: Sequence[EnergyModel], device: torch.device, dtype: str, name: str
) -> None:
    """Refuse what loops cannot do.

    Raises:
        PotentialError: Naming the device, the model's part, or what numba says.
    """
    if device.type != "cpu":
        raise PotentialError(f"backend='native' is for the CPU, not for {device}")
    for reason in filter(None, map(obstacle, members)):
        raise PotentialError(f"{name} {reason}, which backend='native' cannot do")
    if reason := failure(dtype):
        raise PotentialError(f"backend='native' needs numba, which fails: {reason}")
