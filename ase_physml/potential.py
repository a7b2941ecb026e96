"""A loaded potential: numbers, positions and cells in, energies, forces, strain out.

What evaluates a potential goes through here: ASE's calculator and torch-sim's model
differ in what they take and in what they give.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ase_physml.errors import PotentialError
from ase_physml.graph import AllPairs, AtomGraph, EdgeList, PeriodicEdgeList
from ase_physml.jobs.file_hash import sha256
from ase_physml.models.architecture import architecture_of
from ase_physml.models.energy_model import (
    Energies,
    EnergyConfig,
    EnergyModel,
    energy_and_forces,
    energy_forces_and_strain,
)
from ase_physml.models.physml.model import PhysML
from ase_physml.models.traced import compiled_forces
from ase_physml.native import (
    check_able,
    evaluate_graph,
    failure,
    native_of,
    obstacle,
    warn_of_failure,
)
from ase_physml.neighbours import Search, images_within
from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import build_empty, load_potentials
from ase_physml.store.registry import resolve
from ase_physml.torch_state import plain_torch

# Up to this many atoms all pairs, computed without an index, are faster than a list of
# the pairs within the cutoff.
_DENSE_ATOMS = 100

Model = str | Path | EnergyModel
"""Shipped name or path of a potential, or the module itself."""

BACKENDS = ("auto", "native", "torch")

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Values = TypeVar("Values", Tensor, Array)


class Structures(NamedTuple):
    """Tensors of a batch of M structures with A atoms.

    Attributes:
        numbers: Atomic numbers, (A,) int64.
        positions: Positions, (A, 3) Å.
        n_atoms: Atoms of each structure, (M,) int64.
        cell: Lattice vectors in rows, (M, 3, 3) Å; None for molecules alone.
        pbc: Lattice vectors along which structures repeat, (M, 3) bool, or None.
    """

    numbers: Tensor
    positions: Tensor
    n_atoms: Tensor
    cell: Tensor | None = None
    pbc: Tensor | None = None


class Prediction(NamedTuple, Generic[Values]):
    """Output of one member for a batch of M structures with A atoms.

    In tensors, or in arrays where torch had no part in it.

    Attributes:
        energies: Total energies, (M,) float64, eV.
        per_atom: Total energies of atoms, (A,) float64, eV.
        forces: Forces, (A, 3), eV/Å.
        by_strain: Gradients of the energies by strain, (M, 3, 3) eV; None without
            cells.
        charges: Charges of atoms, (A,) e; None of a model without them.
    """

    energies: Values
    per_atom: Values
    forces: Values
    by_strain: Values | None
    charges: Values | None = None


class MoleculesFound(NamedTuple):
    """Output for a batch of molecules, and what was seen of their distances.

    Attributes:
        members: Output of each member.
        shortest: Distance of the nearest pair of atoms, Å.
        alone: Place in its molecule of an atom that no chain of neighbours links to the
            first atom; -1 if there is none.
    """

    members: list[Prediction[Array]]
    shortest: float
    alone: int


@dataclass(frozen=True)
class LoadedPotential:
    """Weights on a device, in a precision, frozen, and shared by all who load them.

    A pickle of what came from files holds no weights: they are read again, and must be
    those that were there.

    Attributes:
        members: Models, more than one of an ensemble.
        card: Metadata of the first file; None of a module.
        name: Name in messages.
        sources: Absolute paths of the files; none of a module.
        hashes: SHA-256 of each file.
        device: Device of the weights.
        dtype: "float32" or "float64".
        backend: What evaluates: "native", "torch", or "auto", the first where it can.
    """

    members: tuple[EnergyModel, ...]
    card: ModelCard | None
    name: str
    sources: tuple[Path, ...]
    hashes: tuple[str, ...]
    device: torch.device
    dtype: str
    backend: str = "auto"

    @classmethod
    def open(
        cls,
        model: Model | Sequence[Model],
        device: str,
        dtype: str,
        backend: str = "auto",
    ) -> "LoadedPotential":
        """Load files, or take over copies of modules.

        Args:
            model: One, or several as an ensemble.
            device: "auto" (CUDA where there is one), or a torch device.
            dtype: "float32" or "float64".
            backend: "auto", "native" or "torch"; see `ase_physml.native`.

        Raises:
            PotentialError: A file cannot be used, the members do not belong together,
                the device cannot do dtype, or the backend not the members.
        """
        where = pick_device(device, dtype)
        if backend not in BACKENDS:
            raise PotentialError(
                f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}"
            )
        single = isinstance(model, str | Path | EnergyModel)
        given = [model] if single else list(model)  # type: ignore[arg-type]
        files = [one for one in given if isinstance(one, str | Path)]
        modules = [one for one in given if isinstance(one, EnergyModel)]
        if files and modules:
            raise PotentialError("a committee is of files or of modules, not of both")
        if not files:
            _check_alike(modules)
            members = tuple(_prepared(_copy_of(m), where, dtype) for m in modules)
            name = "this potential"
            if backend == "native":
                check_able(members, where, dtype, name)
            return cls(members, None, name, (), (), where, dtype, backend)
        # Absolute: a pickle may be opened in another folder.
        sources = tuple(resolve(one).absolute() for one in files)
        name = " + ".join(source.name for source in sources)
        loaded, card = _load_all(sources, where, dtype)
        hashes = tuple(map(sha256, sources))
        if backend == "native":
            check_able(loaded, where, dtype, name)
        return cls(loaded, card, name, sources, hashes, where, dtype, backend)

    @property
    def config(self) -> Any:
        """Configuration of the first member, whose cutoffs are those of all."""
        return self.members[0].config

    def graph(
        self, structures: Structures, search: Search = images_within
    ) -> AtomGraph:
        """Layout that suits a batch best.

        Args:
            structures: The batch.
            search: Finder of the pairs of periodic structures.
        """
        return graph_of(structures, self.config, search)

    @property
    def is_native(self) -> bool:
        """Whether compiled loops evaluate it, and not torch."""
        if self.backend == "torch" or self.device.type != "cpu":
            return False
        if any(map(obstacle, self.members)):
            return False
        if reason := failure(self.dtype):
            warn_of_failure(reason)
        return not reason

    def evaluate(
        self, graph: AtomGraph, compiled: bool = False
    ) -> list[Prediction[Tensor]]:
        """Output of each member for a batch.

        Args:
            graph: The batch.
            compiled: By torch's compiled kernels, where there are.
        """
        native = self.is_native and not compiled and graph.bonded is None
        return [_evaluate(member, graph, compiled, native) for member in self.members]

    def evaluate_molecules(
        self, numbers: Integers, positions: Array, n_atoms: Integers
    ) -> MoleculesFound | None:
        """Output of each member for molecules, without torch.

        Args:
            numbers: Atomic numbers, (A,).
            positions: (A, 3) Å.
            n_atoms: Atoms of each molecule, (M,); all distances are measured.

        Returns:
            None for models whose numbers are out of range: torch evaluates them.
        """
        starts = np.cumsum(n_atoms) - n_atoms
        members, shortest, alone = [], np.inf, -1
        for member in self.members:
            assert isinstance(member, PhysML)
            native = native_of(member)
            found = native.of_molecules(numbers, positions, n_atoms)
            if not found.exact:
                return None
            per_atom = found.energies + native.reference(numbers)
            totals = np.add.reduceat(per_atom, starts)
            members.append(Prediction(totals, per_atom, found.forces, None))
            shortest, alone = found.shortest, found.alone
        return MoleculesFound(members, shortest, alone)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        if self.sources:
            del state["members"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.sources:
            _check_unchanged(self.sources, self.hashes)
            members, _ = _load_all(self.sources, self.device, self.dtype)
            self.__dict__["members"] = members


def graph_of(
    structures: Structures, config: EnergyConfig, search: Search = images_within
) -> AtomGraph:
    """As `LoadedPotential.graph`, for the cutoffs of a configuration."""
    numbers, positions, n_atoms, cell, pbc = structures
    if cell is not None and pbc is not None and bool(pbc.any()):
        reach = config.pair_cutoff or config.cutoff
        return PeriodicEdgeList.build_cells(
            numbers, positions, n_atoms, cell, pbc, config.cutoff, reach, search
        )
    size = int(n_atoms[0])
    if size <= _DENSE_ATOMS and bool((n_atoms == size).all()):
        shape = (len(n_atoms), size)
        return AllPairs(numbers.reshape(shape), positions.reshape(*shape, 3))
    return EdgeList.build(numbers, positions, n_atoms, config.cutoff, config.reach)


def _evaluate(
    member: EnergyModel, graph: AtomGraph, compiled: bool, native: bool
) -> Prediction[Tensor]:
    found = (
        evaluate_graph(member, graph) if native and isinstance(member, PhysML) else None
    )
    by_strain = None
    if found is not None:
        molecules, atoms, forces, by_strain = found
        energies = Energies(molecules, atoms)
    elif isinstance(graph, PeriodicEdgeList):
        energies, forces, by_strain = energy_forces_and_strain(member, graph)
    # Kernels know no charges. Sizes of 0 and 1 are never symbolic: each would be
    # compiled for on its own.
    elif (
        compiled
        and isinstance(graph, AllPairs)
        and graph.numbers.shape[1] > 2
        and not member.config.has_charges
    ):
        molecules, atoms, forces = compiled_forces(member)(graph)
        energies = Energies(molecules, atoms)
    else:
        energies, forces = energy_and_forces(member, graph)
    reference = member.reference_energy(graph.numbers)
    double = graph.replace(positions=graph.positions.double())
    total = energies.molecules.detach().double()
    total = total + double.sum_atoms(reference.unsqueeze(-1)).squeeze(-1)
    per_atom = (energies.atoms.detach().double() + reference).flatten()
    charges = energies.charges
    if charges is not None:
        charges = charges.detach().flatten()
    return Prediction(total, per_atom, forces.reshape(-1, 3), by_strain, charges)


def pick_device(device: str, dtype: str) -> torch.device:
    """The device that is named, or for "auto" the fastest that computes in float64.

    Raises:
        PotentialError: There is no such device, or it cannot do dtype.
    """
    if dtype not in ("float32", "float64"):
        raise PotentialError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise PotentialError(f"device {device!r} is not one torch knows") from error
    if chosen.type == "mps" and dtype == "float64":
        raise PotentialError("Apple GPUs have no float64: use dtype='float32'")
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise PotentialError(f"device {device!r} asked for, but torch sees no CUDA GPU")
    return chosen


def _load_all(
    paths: Sequence[Path], device: torch.device, dtype: str
) -> tuple[tuple[EnergyModel, ...], ModelCard]:
    """Members in all files, and the card of the first."""
    members: tuple[EnergyModel, ...] = ()
    cards: list[ModelCard] = []
    for path in paths:
        modified = path.stat().st_mtime_ns if path.exists() else 0
        found, card = _load(str(path), modified, str(device), dtype)
        members += found
        cards.append(card)
    for path, card in zip(paths, cards, strict=True):
        if card.baseline != cards[0].baseline:
            raise PotentialError(
                f"{paths[0]} corrects {cards[0].baseline or 'nothing'} and {path} "
                f"{card.baseline or 'nothing'}: their energies have no common mean"
            )
        if card.level_of_theory != cards[0].level_of_theory:
            raise PotentialError(
                f"{paths[0]} is of {cards[0].level_of_theory} and {path} of "
                f"{card.level_of_theory}: their energies have no common mean"
            )
    _check_alike(members)
    # The scale of one file's own members does not hold for more of them.
    card = cards[0] if len(cards) == 1 else replace(cards[0], uncertainty={})
    return members, card


def _check_unchanged(paths: Sequence[Path], hashes: Sequence[str]) -> None:
    """Refuse files that are not those from which a calculator was made."""
    for path, expected in zip(paths, hashes, strict=True):
        if not path.exists():
            raise PotentialError(
                f"{path}: the calculator was made from it; put it back"
            )
        if sha256(path) != expected:
            raise PotentialError(
                f"{path}: not the file that the calculator was made from, whose "
                f"SHA-256 is {expected[:12]}...; put it back, or make a new calculator"
            )


def _check_alike(members: Sequence[EnergyModel]) -> None:
    """Refuse members that do not see one list of neighbours."""
    if not members:
        raise PotentialError("a committee needs a member")
    seen = {(c.elements, c.cutoff, c.pair_cutoff) for c in (m.config for m in members)}
    if len(seen) > 1:
        raise PotentialError("members of a committee share elements and cutoffs")


@lru_cache(maxsize=8)
def _load(
    path: str, _modified: int, device: str, dtype: str
) -> tuple[tuple[EnergyModel, ...], ModelCard]:
    """Calculators of the same file share its weights; a changed file is read again."""
    members, card = load_potentials(path)
    return tuple(_prepared(m, torch.device(device), dtype) for m in members), card


@plain_torch()
def _prepared(model: EnergyModel, device: torch.device, dtype: str) -> EnergyModel:
    """Moved, converted and frozen; reference energies stay in float64."""
    reference = model.self_energies.double()
    model = model.to(device=device, dtype=getattr(torch, dtype))
    model.self_energies = reference.to(device)
    return model.eval().requires_grad_(False)


@plain_torch()
def _copy_of(model: EnergyModel) -> EnergyModel:
    """A copy, so that weights that someone else uses are not frozen or converted."""
    dtype = next((p.dtype for p in model.parameters()), torch.float64)
    copy = build_empty(architecture_of(model.config).name, model.config, dtype)
    assert isinstance(copy, EnergyModel)
    copy.load_state_dict(model.state_dict())
    return copy
