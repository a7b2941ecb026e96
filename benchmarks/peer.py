"""Train TorchMD-NET's ET on what PhysML is trained on, and use it as a calculator.

    pip install torch_geometric warp-lang && pip install --no-deps torchmd-net==3.1.0
    python benchmarks/peer.py runs/ablation/subset.h5 --split runs/ablation/split.json \
        --out et.pt
    PEER=et.pt PYTHONPATH=benchmarks physml evaluate qm9.pt peer:calculator

It learns what its kind learns: energies, and that forces at rest are zero. Same
batches, steps, optimizer and schedule as a row of `training/physml/ablation.yaml`.
"""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from candidates import build_et
from rich.progress import track

from ase_physml.data.conversion import from_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.index_split import Split
from ase_physml.jobs.disk import atomic_write
from ase_physml.training.batches import Batch, BatchStream, FrameStore
from ase_physml.training.losses.frames import label_loss, zero_force_loss
from ase_physml.training.recipe import warm_cosine
from ase_physml.training.reference import elements_of, self_energies_of

PEAK = 1e-3
WARMUP = 500
HUBER = 0.2
EMA = 0.999
WEIGHTS = {"energy": 1.5, "zero_force": 3.0}
SAVE_EVERY = 250


def self_energies(store: FrameStore) -> torch.Tensor:
    """E0 by atomic number, eV, from a least-squares fit to the energies."""
    elements = elements_of([store])
    fitted, _ = self_energies_of([store], elements)
    table = torch.zeros(max(elements) + 1, dtype=torch.float64)
    table[list(elements)] = torch.from_numpy(fitted)
    return table


@dataclass(frozen=True)
class Setup:
    """Setup: parts that an ET for molecules and one for cells do not share.

    Attributes:
        build: Makes the model.
        ask: Energies (M,) and forces (M, N, 3) of a batch, by a model.
        batch: Structures per step.
    """

    build: Callable[[], Any]
    ask: Callable[[Any, Batch], tuple[torch.Tensor, torch.Tensor]]
    batch: int

    def loss(self, model: Any, batch: Batch, table: torch.Tensor) -> torch.Tensor:
        """Loss of energies, and of forces at rest on the atoms that are free."""
        energies, forces = self.ask(model, batch)
        label = (batch.energies - table[batch.numbers].sum(1)).float()
        at_rest = zero_force_loss(forces, batch.fixed)
        of_energies = label_loss(energies, label, HUBER)
        return WEIGHTS["energy"] * of_energies + WEIGHTS["zero_force"] * at_rest


def ask(model: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Energies (M,) and forces (M, N, 3) of molecules."""
    m, n = batch.numbers.shape
    owner = torch.arange(m).repeat_interleave(n)
    positions = batch.positions.reshape(-1, 3)
    energies, forces = model(batch.numbers.flatten(), positions, owner)
    return energies.flatten(), forces.reshape(m, n, 3)


MOLECULES = Setup(partial(build_et, "64x3", forces=True), ask, 32)


def train(setup: Setup, data: Path, split: Path, steps: int, out: Path) -> None:
    """Train, or go on from the file of an earlier, shorter or interrupted run."""
    torch.manual_seed(0)
    store = FrameStore(RaggedSet(data), Split.load(split).train)
    stream, table = BatchStream([store], setup.batch, 0), self_energies(store)
    model = setup.build()
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
        setup.loss(model, stream[step], table).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        average.update_parameters(model)
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
            states = {name: part.state_dict() for name, part in parts.items()}
            with atomic_write(out) as partial:
                torch.save({"step": step + 1, "table": table, **states}, partial)


class Peer(Calculator):
    """The trained ET."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, setup: Setup, path: str) -> None:
        super().__init__()
        content = torch.load(path, weights_only=True)
        self.setup, self.model, self.table = setup, setup.build(), content["table"]
        prefix = "module."
        self.model.load_state_dict(
            {
                name.removeprefix(prefix): value
                for name, value in content["average"].items()
                if name.startswith(prefix)
            }
        )

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Any = ("energy",),
        system_changes: Any = tuple(all_changes),
    ) -> None:
        """Energy and forces."""
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        batch = _alone(self.atoms)
        energies, forces = self.setup.ask(self.model, batch)
        total = energies.double() + self.table[batch.numbers].sum()
        self.results = {
            "energy": float(total.detach()),
            "forces": forces[0].detach().double().numpy(),
        }


def _alone(atoms: Atoms) -> Batch:
    """A batch of one structure."""
    frame = from_atoms(atoms)
    return Batch(
        step=0,
        numbers=torch.as_tensor(frame.numbers).long()[None],
        positions=torch.as_tensor(frame.positions).float()[None],
        energies=torch.zeros(1),
        forces=torch.zeros(1),
        equilibrium=False,
        cell=torch.as_tensor(np.array(atoms.cell)).float()[None],
        pbc=torch.as_tensor(atoms.pbc)[None],
    )


def command(setup: Setup, steps: int, purpose: str) -> None:
    """The command line of a script that trains."""
    parser = argparse.ArgumentParser(description=purpose)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    train(setup, options.data, options.split, options.steps, options.out)


def calculator() -> Peer:
    """Calculator of ``peer:calculator``, with the weights that ``PEER`` names."""
    return Peer(MOLECULES, os.environ["PEER"])


if __name__ == "__main__":
    command(MOLECULES, 3000, __doc__.splitlines()[0])
