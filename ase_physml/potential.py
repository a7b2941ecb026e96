"""A loaded potential: numbers, positions and cells in, energies, forces, strain out.

What evaluates a potential goes through here: ASE's calculator and torch-sim's model
differ in what they take and in what they give.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ase_physml.errors import PotentialError
from ase_physml.graph import AllPairs, AtomGraph, EdgeList, PeriodicEdgeList
from ase_physml.jobs.file_hash import sha256
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
    native_of,
    obstacle,
    warn_of_failure,
)
from ase_physml.native.binding import failure
from ase_physml.neighbours import Search, images_within
from ase_physml.store.card import ModelCard
from ase_physml.store.loading import (
    check_alike,
    check_unchanged,
    copy_of,
    load_all,
    pick_device,
    prepared,
)
from ase_physml.store.registry import resolve

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
            check_alike(modules)
            check_supplied(modules, "this potential")
            members = tuple(prepared(copy_of(m), where, dtype) for m in modules)
            name = "this potential"
            if backend == "native":
                check_able(members, where, name)
            return cls(members, None, name, (), (), where, dtype, backend)
        # Absolute: a pickle may be opened in another folder.
        sources = tuple(resolve(one).absolute() for one in files)
        name = " + ".join(source.name for source in sources)
        loaded, card = load_all(sources, where, dtype)
        check_supplied(loaded, name)
        hashes = tuple(map(sha256, sources))
        if backend == "native":
            check_able(loaded, where, name)
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
        """Whether native code evaluates it, and not torch."""
        if self.backend == "torch" or self.device.type != "cpu":
            return False
        if any(map(obstacle, self.members)):
            return False
        if reason := failure():
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
            found = native.evaluate(numbers, positions, n_atoms)
            if not found.exact:
                return None
            per_atom = found.energies + native.reference(numbers)
            totals = np.add.reduceat(per_atom, starts)
            charges = found.charges if member.config.has_charges else None
            one = Prediction(totals, per_atom, found.forces, None, charges)
            members.append(one)
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
            check_unchanged(self.sources, self.hashes)
            members, _ = load_all(self.sources, self.device, self.dtype)
            self.__dict__["members"] = members


def check_supplied(members: Sequence[EnergyModel], name: str) -> None:
    """Refuse models that read what no structure says.

    Raises:
        PotentialError: One has the A-mask.
    """
    if any(getattr(member.config, "a_mask", False) for member in members):
        raise PotentialError(
            f"{name} has the A-mask (a_mask=True): it reads a bond graph, which "
            "structures do not have; call the model with AllPairs(..., bonded=...)"
        )


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
        energies, forces, by_strain = found
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
