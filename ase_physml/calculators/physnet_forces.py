"""The forces that PhysNet has learned, at any positions."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch

from ase_physml.bonded_graph import BondedGraph
from ase_physml.calculators.restraints import Array
from ase_physml.models.physchem.model import PhysChem
from ase_physml.models.physchem.physnet import Law, PhysNet


class PhysNetForces:
    """Forces of the last block of a PhysChem model on the atoms of one molecule.

    Args:
        model: One whose atoms move in three dimensions.
        graph: Graph of one molecule, in the precision of the model.
    """

    def __init__(self, model: PhysChem, graph: BondedGraph) -> None:
        self.model = model
        self.graph = graph

    def __call__(self, positions: Array) -> Array:
        """Å (n, 3) to the model's own units (n, 3); atoms in the order of the input."""
        index = self.graph.input_index
        q = torch.from_numpy(positions).to(self.graph.masses)[index]
        forces = torch.empty_like(q)
        with torch.no_grad():
            forces[index] = self._law.forces(q)
        found: Array = forces.double().numpy()
        return found

    @cached_property
    def _law(self) -> Law:
        """As the last block uses it; it depends on bonds alone, or on the path there.

        The model hands on positions, not laws: a hook keeps the last one.
        """
        laws: list[Law] = []
        hooks = [
            net.law.register_forward_hook(lambda _module, _args, law: laws.append(law))
            for net in self.model.physnets
            if isinstance(net, PhysNet)
        ]
        try:
            with torch.no_grad():
                self.model(self.graph)
        finally:
            for hook in hooks:
                hook.remove()
        return laws[-1]

    def __getstate__(self) -> dict[str, Any]:
        # A law is a closure, which pickle refuses; it is found again when asked for.
        return {"model": self.model, "graph": self.graph}

    def __deepcopy__(self, memo: dict[int, Any]) -> PhysNetForces:
        # Nothing here ever changes.
        return self
