"""Train Attentive FP on the very splits that our models of properties are trained on.

    pip install torch_geometric
    python benchmarks/peer_properties.py properties/esol.h5 --seeds 0 1 2 3 4 \
        --epochs 200 --out esol_attentive_fp.json

Printed tables come from other splits, and often from other rows of the same set. Here
torch_geometric's Attentive FP, with the width, depth, optimizer and batches of its own
example, reads the same features, is trained on the same molecules as seed by seed in
`training/seeds.py`, keeps the weights of its best validation as ours do, and is
measured by the same code.
"""

import argparse
import copy
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from ase_physml.chem.molecule_sets import random_split
from ase_physml.chem.property_sets import PropertySet
from ase_physml.data.frame import Array
from ase_physml.data.index_split import Split
from ase_physml.training.losses import targets as properties
from ase_physml.training.molecular_data import (
    MolecularBatch,
    MolecularStream,
    Molecules,
)

WIDTH, LAYERS, TIMESTEPS, DROPOUT = 200, 2, 2, 0.2
BATCH, RATE, DECAY = 200, 10**-2.5, 1e-5


class Peer:
    """Attentive FP for a set.

    Args:
        known: The set.
        train: Molecules to learn from.
    """

    def __init__(self, known: PropertySet, train: Array) -> None:
        from torch_geometric.nn.models import AttentiveFP

        self.regression = known.task == "regression"
        self.molecules = Molecules(known.store, known)
        targets = torch.from_numpy(known.targets[train]).float()
        self.mean, self.deviation = properties.moments(targets)
        self.model: nn.Module = AttentiveFP(
            39, WIDTH, targets.shape[1], 10, num_layers=LAYERS,
            num_timesteps=TIMESTEPS, dropout=DROPOUT,
        )  # fmt: skip

    def fit(self, split: Split, epochs: int, seed: int) -> None:
        """Train, and keep the weights of the best validation."""
        optimizer = torch.optim.Adam(
            self.model.parameters(), lr=RATE, weight_decay=DECAY
        )
        stream = MolecularStream(self.molecules, split.train, BATCH, seed)
        best, weights = -np.inf, self.model.state_dict()
        for epoch in track(range(epochs), f"seed {seed}"):
            self.model.train()
            for step in range(stream.per_pass):
                loss = self._loss(stream[epoch * stream.per_pass + step])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            score = self._score(self.errors(split.val))
            if score > best:
                best, weights = score, copy.deepcopy(self.model.state_dict())
        self.model.load_state_dict(weights)

    @torch.no_grad()
    def errors(self, indices: Array) -> dict[str, float]:
        """Errors on these molecules, as for our models."""
        self.model.eval()
        answers, targets = [], []
        for batch in self.molecules.batches(indices):
            assert batch.targets is not None
            answers.append(self._answers(batch))
            targets.append(batch.targets)
        found, true = torch.cat(answers), torch.cat(targets)
        if not self.regression:
            return {"roc_auc": properties.mean_roc_auc(found, true)}
        found = found * self.deviation + self.mean
        return {
            "rmse": float(properties.rmse(found, true).mean()),
            "mae": float(properties.mae(found, true).mean()),
        }

    def _score(self, errors: dict[str, float]) -> float:
        return -errors["rmse"] if self.regression else errors["roc_auc"]

    def _loss(self, batch: MolecularBatch) -> Tensor:
        assert batch.targets is not None
        answers = self._answers(batch)
        if not self.regression:
            return properties.binary_loss(answers, batch.targets)
        wanted = (batch.targets - self.mean) / self.deviation
        return properties.mse_loss(answers, wanted)

    def _answers(self, batch: MolecularBatch) -> Tensor:
        graph = batch.graph
        edges = torch.stack([graph.source, graph.target])
        found: Tensor = self.model(
            graph.atom_features, edges, graph.edge_features, graph.molecule
        )
        return found


def run(known: PropertySet, seed: int, epochs: int) -> dict[str, Any]:
    """Errors on the test part of a seed."""
    torch.manual_seed(seed)
    split = random_split(known.store, seed)
    start = time.process_time()
    peer = Peer(known, split.train)
    peer.fit(split, epochs, seed)
    seconds = time.process_time() - start
    return {
        "seed": seed,
        "split_hash": split.hash,
        "processor_seconds": seconds,
        **peer.errors(split.test),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="set made by make_properties.py")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    known = PropertySet.load(options.data)
    if known.task == "multiclass":
        parser.error(f"{options.data}: labels of several classes are not done here")
    results = []
    for seed in options.seeds:
        results.append(run(known, seed, options.epochs))
        options.out.write_text(json.dumps(results, indent=1) + "\n")
        print(results[-1], flush=True)
    drop = ("seed", "split_hash", "processor_seconds")
    rows = [{k: v for k, v in found.items() if k not in drop} for found in results]
    print(properties.seed_table({f"Attentive FP, {known.name}": rows}))


if __name__ == "__main__":
    main()
