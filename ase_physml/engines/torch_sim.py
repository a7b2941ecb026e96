"""PhysML as a model of torch-sim, which moves many structures on one GPU.

Needs torch-sim: ``pip install 'ase-physml[torch-sim]'``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from ase.data import chemical_symbols
from torch import Tensor
from torch_sim.models.interface import ModelInterface
from torch_sim.state import SimState

from ase_physml.calculators.checks import check_extensive, warn_of_cells
from ase_physml.calculators.graphs import molecules_of
from ase_physml.calculators.loading import load_all, pick_device
from ase_physml.errors import PotentialError, StructureError
from ase_physml.graph import AtomGraph, PeriodicEdgeList
from ase_physml.models.physml.forces import energy_and_forces, energy_forces_and_strain
from ase_physml.models.physml.model import PhysML
from ase_physml.potentials.registry import resolve
from ase_physml.torch_state import plain_torch


class PhysMLModel(ModelInterface):
    """A potential, or the mean of a committee, as torch-sim wants it.

    For `torch_sim.optimize` of molecules give ``generate_force_convergence_fn(0.01,
    include_cell_forces=False)``: its default stops where energies change by less than
    1 meV, which is no minimum yet.

    Energies are totals (eV), forces in eV/Å, stress in eV/Å^3 with ASE's sign. In
    float32, totals of a molecule are rounded to a meV or so; forces are not.

    Args:
        model: Shipped name or path; several are a committee.
        device: "auto" (CUDA where there is one), or a torch device.
        dtype: Of positions and results.
        compute_stress: Of periodic structures.

    Raises:
        PotentialError: The potential cannot be loaded, or the device cannot do dtype.
    """

    @plain_torch()
    def __init__(
        self,
        model: str | Path | Sequence[str | Path] = "qm9.pt",
        *,
        device: str = "auto",
        dtype: torch.dtype = torch.float64,
        compute_stress: bool = False,
    ) -> None:
        super().__init__()
        named = str(dtype).removeprefix("torch.")
        files = [model] if isinstance(model, str | Path) else list(model)
        paths = [resolve(one) for one in files]
        self._device, self._dtype = pick_device(device, named), dtype
        self._compute_stress, self._compute_forces = compute_stress, True
        self._memory_scales_with = "n_atoms_x_density"
        # A tuple, and so no submodules: shared, frozen, and to stay where they are.
        self.members, self.card = load_all(paths, self._device, named)
        self.potential = " + ".join(path.name for path in paths)
        if self.card.baseline:
            raise PotentialError(
                f"{self.potential} is a correction to {self.card.baseline}, which "
                "torch-sim cannot compute; use PhysMLCalculator"
            )
        self._known = torch.tensor(self.members[0].config.elements, device=self._device)
        self._warned = False

    @property
    def compute_stress(self) -> bool:
        """Whether results have a stress; may be set."""
        return self._compute_stress

    @compute_stress.setter
    def compute_stress(self, wanted: bool) -> None:
        self._compute_stress = wanted

    @property
    def compute_forces(self) -> bool:
        """Whether results have forces; may be set."""
        return self._compute_forces

    @compute_forces.setter
    def compute_forces(self, wanted: bool) -> None:
        self._compute_forces = wanted

    @plain_torch()
    def forward(
        self, state: SimState | dict[str, Any], **_kwargs: Any
    ) -> dict[str, Tensor]:
        """Energies (M,), forces (A, 3) and, if asked for, stress (M, 3, 3).

        Args:
            state: Structures, all of them periodic or none.

        Raises:
            StructureError: An unknown element, or a potential that cannot do cells.
        """
        if isinstance(state, dict):
            masses = torch.ones_like(state["positions"][:, 0])
            state = SimState(**{"masses": masses, **state})
        graph = self._graph(state)
        said = [self._said(member, graph) for member in self.members]
        energies, forces, by_strain = (
            torch.stack(parts).mean(0) for parts in zip(*said, strict=True)
        )
        results = {"energy": energies.to(self._dtype)}
        if self._compute_forces:
            results["forces"] = forces.reshape(-1, 3)
        if self._compute_stress:
            volume = torch.linalg.det(state.row_vector_cell).abs()
            results["stress"] = by_strain / volume[:, None, None]
        return results

    def _graph(self, state: SimState) -> AtomGraph:
        numbers = _own(state.atomic_numbers)
        unknown = numbers[~torch.isin(numbers, self._known)]
        if len(unknown):
            new, known = (
                ", ".join(chemical_symbols[z] for z in sorted(set(some.tolist())))
                for some in (unknown, self._known)
            )
            raise StructureError(
                f"{self.potential} knows {known}, not {new}; use a potential that was "
                "trained with it, or fine-tune one"
            )
        config = self.members[0].config
        positions, n_atoms = _own(state.positions), state.system_idx.bincount()
        along = torch.as_tensor(state.pbc, device=self._device).expand(3)
        if not along.any():
            if self._compute_stress:
                raise StructureError("molecules have no stress: compute_stress=False")
            return molecules_of(numbers, positions, n_atoms, config)
        check_extensive(config, self.potential)
        if not (self._warned or self.card.training.get("periodic")):
            warn_of_cells(self.potential)
            self._warned = True
        return PeriodicEdgeList.build_cells(
            numbers,
            positions,
            n_atoms,
            _own(state.row_vector_cell),
            along.expand(len(n_atoms), 3),
            config.cutoff,
            config.pair_cutoff or config.cutoff,
        )

    def _said(self, member: PhysML, graph: AtomGraph) -> tuple[Tensor, Tensor, Tensor]:
        """Total energies in float64, forces, and gradients by strain, if there are."""
        by_strain = graph.positions.new_zeros(graph.n_molecules, 3, 3)
        if isinstance(graph, PeriodicEdgeList):
            energies, forces, by_strain = energy_forces_and_strain(member, graph)
        else:
            energies, forces = energy_and_forces(member, graph)
        double = graph.replace(positions=graph.positions.double())
        reference = member.reference_energy(graph.numbers).unsqueeze(-1)
        total = energies.molecules.detach().double()
        return total + double.sum_atoms(reference).squeeze(-1), forces, by_strain


def _own(tensor: Tensor) -> Tensor:
    """The same; a copy of what was made in inference mode, which bears no gradient."""
    return tensor.clone() if tensor.is_inference() else tensor
