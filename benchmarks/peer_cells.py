"""Train TorchMD-NET's ET on slabs, and use it as a calculator: `peer.py` for cells.

    python benchmarks/peer_cells.py adsorption.h5 \
        --split training/splits/adsorption_random.json --steps 12000 --out et.pt
    PEER=et.pt PYTHONPATH=benchmarks python training/evaluate_adsorption.py \
        peer_cells:calculator --data adsorption.h5 --split SPLIT.json

Width, depth and reach of `training/adsorption.yaml`; its batches, optimizer and number
of steps. ET takes only cells twice as wide as its cutoff, which slabs are not: here its
neighbours are those that PhysML gets. It learns what its kind learns: energies, and
that forces at rest are zero.
"""

import argparse
import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from candidates import CUTOFF, build_et
from peer import self_energies
from rich.progress import track

from ase_physml.data.atoms import from_atoms
from ase_physml.data.ragged import RaggedSet
from ase_physml.data.splits import Split
from ase_physml.graph import PeriodicEdgeList
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.training.batches import Batch, BatchStream, FrameStore
from ase_physml.training.losses import energy_loss, zero_force_loss
from ase_physml.training.schedule import warm_cosine

PRESET = "64x2"
# For its cutoffs: ET has no pair terms beyond that of its messages.
REACH = PhysMLConfig(cutoff=CUTOFF, pair_cutoff=CUTOFF)
BATCH = 8
PEAK, WARMUP = 1e-3, 500
HUBER = 0.2
EMA = 0.999
WEIGHTS = {"energy": 1.5, "zero_force": 3.0}
SAVE_EVERY = 250


class GivenNeighbours(torch.nn.Module):
    """Stands where ET searches for neighbours; the same for every structure asked of.

    Attributes:
        graph: Of the structures that ET is about to be asked for.
    """

    graph: PeriodicEdgeList

    def forward(self, positions: Any, *_others: Any) -> tuple[Any, Any, Any]:
        """Edges (2, E), their lengths (E,) and vectors (E, 3) in Å."""
        graph = self.graph.replace(positions=positions)
        return graph.edges, graph.edge_distances(), -graph.edge_vectors()


def build() -> Any:
    """ET that asks for no neighbours."""
    model = build_et(PRESET, forces=True)
    model.representation_model.distance = GivenNeighbours()
    return model


def ask(model: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Energies (M,) and forces (M, N, 3)."""
    graph = batch.graph(REACH)
    assert isinstance(graph, PeriodicEdgeList)
    model.representation_model.distance.graph = graph
    energies, forces = model(graph.numbers, graph.positions, graph.molecule)
    return energies.flatten(), forces.reshape(batch.positions.shape)


def loss(model: Any, batch: Batch, table: torch.Tensor) -> torch.Tensor:
    """Of energies, and of forces on the free atoms."""
    energies, forces = ask(model, batch)
    label = (batch.energies - table[batch.numbers].sum(1)).float()
    return WEIGHTS["energy"] * energy_loss(energies, label, HUBER) + WEIGHTS[
        "zero_force"
    ] * zero_force_loss(forces, batch.fixed)


def train(data: Path, split: Path, steps: int, out: Path) -> None:
    """Train, or go on from the file of an interrupted run."""
    torch.manual_seed(0)
    store = FrameStore(RaggedSet(data), Split.load(split).train)
    stream, table = BatchStream([store], BATCH, 0), self_energies(store)
    model = build()
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK)
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(EMA)
    )
    parts = {"model": model, "optimizer": optimizer, "average": average}
    first = 0
    if out.exists():
        earlier = torch.load(out, weights_only=True)
        first = earlier["step"]
        for name, part in parts.items():
            part.load_state_dict(earlier[name])
    for step in track(range(first, steps), "training"):
        for group in optimizer.param_groups:
            group["lr"] = PEAK * warm_cosine(step, steps, WARMUP, 0.01)
        optimizer.zero_grad()
        loss(model, stream[step], table).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        average.update_parameters(model)
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
            states = {name: part.state_dict() for name, part in parts.items()}
            partial = out.with_name(out.name + ".part")
            torch.save({"step": step + 1, "table": table, **states}, partial)
            partial.replace(out)


class Peer(Calculator):
    """The trained ET."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, path: str) -> None:
        super().__init__()
        content = torch.load(path, weights_only=True)
        self.model, prefix = build(), "module."
        self.model.load_state_dict(
            {
                k.removeprefix(prefix): v
                for k, v in content["average"].items()
                if prefix in k
            }
        )
        self.table = content["table"]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Any = ("energy",),
        system_changes: Any = tuple(all_changes),
    ) -> None:
        """Energy and forces."""
        super().calculate(atoms, properties, system_changes)
        frame = from_atoms(self.atoms)
        batch = Batch(
            step=0,
            numbers=torch.as_tensor(frame.numbers).long()[None],
            positions=torch.as_tensor(frame.positions).float()[None],
            energies=torch.zeros(1),
            forces=torch.zeros(1),
            equilibrium=False,
            cell=torch.as_tensor(np.array(self.atoms.cell)).float()[None],
            pbc=torch.as_tensor(self.atoms.pbc)[None],
        )
        energies, forces = ask(self.model, batch)
        total = energies.double() + self.table[batch.numbers].sum()
        self.results = {
            "energy": float(total.detach()),
            "forces": forces[0].detach().double().numpy(),
        }


def calculator() -> Peer:
    """For ``peer_cells:calculator``; the weights are those of the variable ``PEER``."""
    return Peer(os.environ["PEER"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    train(options.data, options.split, options.steps, options.out)


if __name__ == "__main__":
    main()
