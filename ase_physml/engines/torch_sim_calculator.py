"""Any model of torch-sim as a calculator that computes batches.

So that relaxations, bands, saddles and vibrations take MACE, MatterSim, SevenNet and
whatever else torch-sim has a model of. Needs torch-sim: ``pip install
'ase-physml[torch-sim]'``.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from torch_sim import initialize_state
from torch_sim.models.interface import ModelInterface

from ase_physml.calculators.many import Results
from ase_physml.errors import PotentialError


class TorchSimCalculator(Calculator):
    """A model of torch-sim; structures of the same periodicity are one pass of it.

    Args:
        model: Model, which computes forces.
        name: Name of it, in tables and files, by which runs that go on know it; by
            default its class.

    Raises:
        PotentialError: A model without forces, or none.
    """

    implemented_properties = ["energy", "free_energy", "forces"]  # noqa: RUF012

    def __init__(self, model: ModelInterface, name: str = "") -> None:
        super().__init__()
        if not isinstance(model, ModelInterface):
            raise PotentialError(
                f"{type(model).__name__} is no model of torch-sim; give one of its "
                "ModelInterface"
            )
        if not model.compute_forces:
            raise PotentialError(f"{type(model).__name__} computes no forces")
        self.model, self._called = model, name or type(model).__name__
        self.parameters = {"model": self._called}

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """ASE's entry: a batch of one."""
        super().calculate(atoms, list(properties), list(system_changes))
        assert self.atoms is not None
        (self.results,) = self.calculate_many([self.atoms])

    def calculate_many(self, structures: Sequence[Atoms]) -> list[Results]:
        """Results of each structure; see `ComputesMany`."""
        order = sorted(
            range(len(structures)), key=lambda k: tuple(structures[k].pbc.tolist())
        )
        found: dict[int, Results] = {}
        for _, some in groupby(order, lambda k: tuple(structures[k].pbc.tolist())):
            indices = list(some)
            batch = [structures[k] for k in indices]
            found.update(zip(indices, self._pass(batch), strict=True))
        return [found[k] for k in range(len(structures))]

    def _pass(self, structures: Sequence[Atoms]) -> list[Results]:
        state = initialize_state(list(structures), self.model.device, self.model.dtype)
        said = self.model(state)
        energies = _array(said["energy"])
        cuts = np.cumsum([len(atoms) for atoms in structures])[:-1]
        forces = np.split(_array(said["forces"]), cuts)
        return [
            {"energy": float(energy), "free_energy": float(energy), "forces": one}
            for energy, one in zip(energies, forces, strict=True)
        ]

    def _get_name(self) -> str:
        return self._called


def _array(tensor: Any) -> np.ndarray:
    found: np.ndarray = tensor.detach().double().cpu().numpy()
    return found
