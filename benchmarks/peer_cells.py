"""Train TorchMD-NET's ET on slabs, and use it as a calculator: `peer.py` for cells.

    python benchmarks/peer_cells.py adsorption.h5 \
        --split training/adsorption/splits/adsorption_random.json --out et.pt
    PEER=et.pt PYTHONPATH=benchmarks python training/adsorption/evaluate_adsorption.py \
        peer_cells:calculator --data adsorption.h5 --split SPLIT.json --structures 20

Width, depth and reach of `training/adsorption/adsorption.yaml`; its batches and
optimizer. ET takes only cells twice as wide as its cutoff, which slabs are not: here
its neighbours are those that PhysML gets. It learns what its kind learns: energies, and
that forces at rest are zero.
"""

import os
from typing import Any

import torch
from candidates import CUTOFF, build_et
from peer import Peer, Setup, command

from ase_physml.graph import PeriodicEdgeList
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.training.batches import Batch

# For its cutoffs: ET has no pair terms beyond that of its messages.
REACH = PhysMLConfig(cutoff=CUTOFF, pair_cutoff=CUTOFF)


class GivenNeighbours(torch.nn.Module):
    """Stands where ET searches for neighbours; the same for every structure asked of.

    Attributes:
        graph: Graph of the structures that ET is about to be asked for.
    """

    graph: PeriodicEdgeList

    def forward(self, positions: Any, *_others: Any) -> tuple[Any, Any, Any]:
        """Edges (2, E), their lengths (E,) and vectors (E, 3) in Å."""
        graph = self.graph.replace(positions=positions)
        return graph.edges, graph.edge_distances(), -graph.edge_vectors()


def build() -> Any:
    """ET that asks for no neighbours."""
    model = build_et("64x2", forces=True)
    model.representation_model.distance = GivenNeighbours()
    return model


def ask(model: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Energies (M,) and forces (M, N, 3)."""
    graph = batch.graph(REACH)
    assert isinstance(graph, PeriodicEdgeList)
    model.representation_model.distance.graph = graph
    energies, forces = model(graph.numbers, graph.positions, graph.molecule)
    return energies.flatten(), forces.reshape(batch.positions.shape)


SLABS = Setup(build, ask, 8)


def calculator() -> Peer:
    """Calculator of ``peer_cells:calculator``, with the weights that ``PEER`` names."""
    return Peer(SLABS, os.environ["PEER"])


if __name__ == "__main__":
    command(SLABS, 5000, __doc__.splitlines()[0])
