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
from ase_physml.errors import PotentialError, StructureError
from ase_physml.graph import AtomGraph
from ase_physml.potential import LoadedPotential, Structures
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
        dtype: Precision of positions and results.
        compute_stress: Give the stress of periodic structures.

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
        # No submodule: weights are shared, frozen, and stay where they are.
        self.loaded = LoadedPotential.open(model, device, named)
        self._device, self._dtype = self.loaded.device, dtype
        self._compute_stress, self._compute_forces = compute_stress, True
        self._memory_scales_with = "n_atoms_x_density"
        self.potential = self.loaded.name
        card = self.loaded.card
        if card is not None and card.baseline:
            raise PotentialError(
                f"{self.potential} is a correction to {card.baseline}, which "
                "torch-sim cannot compute; use PhysMLCalculator"
            )
        self._periodic = card is not None and bool(card.training.get("periodic"))
        self._known = torch.tensor(self.loaded.config.elements, device=self._device)
        self._warned = False

    @property
    def compute_stress(self) -> bool:
        """Results have a stress; may be set."""
        return self._compute_stress

    @compute_stress.setter
    def compute_stress(self, wanted: bool) -> None:
        self._compute_stress = wanted

    @property
    def compute_forces(self) -> bool:
        """Results have forces; may be set."""
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
        said = self.loaded.evaluate(graph)
        energies = torch.stack([one.energies for one in said]).mean(0)
        results = {"energy": energies.to(self._dtype)}
        if self._compute_forces:
            results["forces"] = torch.stack([one.forces for one in said]).mean(0)
        if self._compute_stress:
            strains = [one.by_strain for one in said if one.by_strain is not None]
            by_strain = torch.stack(strains).mean(0)
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
        positions, n_atoms = _own(state.positions), state.system_idx.bincount()
        along = torch.as_tensor(state.pbc, device=self._device).expand(3)
        if not along.any():
            if self._compute_stress:
                raise StructureError("molecules have no stress: compute_stress=False")
            return self.loaded.graph(Structures(numbers, positions, n_atoms))
        check_extensive(self.loaded.config, self.potential)
        if not (self._warned or self._periodic):
            warn_of_cells(self.potential)
            self._warned = True
        pbc = along.expand(len(n_atoms), 3)
        cell = _own(state.row_vector_cell)
        return self.loaded.graph(Structures(numbers, positions, n_atoms, cell, pbc))


def _own(tensor: Tensor) -> Tensor:
    """The same; a copy of what was made in inference mode, which bears no gradient."""
    return tensor.clone() if tensor.is_inference() else tensor
