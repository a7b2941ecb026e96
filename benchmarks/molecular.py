"""Time training and inference of PhysChem and HamNet, beside Attentive FP and RDKit.

    pip install torch_geometric
    python benchmarks/molecular.py --out benchmarks/results

Models are those of the recipes in `training/`, with random weights and all their
losses; Attentive FP is torch_geometric's, as wide as PhysChem's molecules (its atoms
are half as wide). All see the same batches, molecules of the quick start, and are timed
in one process, in turn, on the CPU and on the GPU where there is one.

A step is collation, loss, backward pass and AdamW; inference is collation and answer.
What comes before it, features from SMILES, and what RDKit takes for a conformer have
rows of their own. Figures are molecules a second, medians of rounds. Writes
``molecular.json`` and ``.md``.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import torch
from rdkit import Chem

from ase_physml.chem.features import featurise
from ase_physml.chem.initial_geometry import rdkit_conformer
from ase_physml.chem.molecule_sets import perceive_sets
from ase_physml.data.frame import Array
from ase_physml.models.architecture import build_model
from ase_physml.training.distributed import weighted
from ase_physml.training.fit import load_recipe
from ase_physml.training.molecular_data import MolecularBatch, Molecules
from ase_physml.training.molecular_module import MolecularTraining
from ase_physml.training.molecular_recipe import MolecularRecipe

TRAINING = Path(__file__).parents[1] / "training"
DATA = TRAINING / "quickstart_equilibrium.h5"
RECIPES = {
    "PhysNet with springs (physchem_qm9.pt)": "physchem/physchem_qm9",
    "PhysNet as in the paper": "physchem/physnet_qm9",
    "PhysChem, conformations and a property": "physchem/qm9_energy",
    "HamNet's engine (hamnet_qm9.pt)": "hamnet/hamnet_qm9",
    "HamNet, a property": "hamnet/esol_hamnet",
}
WHAT = {"training": "train", "inference": "infer"}
Work = Callable[[Array], object]
Rates = dict[str, float]


class Ours:
    """A model of a recipe.

    Args:
        recipe: Path of its file below training/, without the suffix.
        store: Molecules, for batches of them.
        device: Device of torch.
    """

    def __init__(self, recipe: str, store: Molecules, device: str) -> None:
        found = load_recipe(TRAINING / f"{recipe}.yaml", ["split=none"])
        assert isinstance(found, MolecularRecipe)
        self.device, self.has_target = device, found.learns_properties
        self.molecules = store
        architecture = found.model.to_dict()
        if self.has_target:
            architecture |= {"targets": 1, "head": "regression"}
        model = build_model(found.kind, architecture).to(device)
        self.training = MolecularTraining(model, found)
        self.training.task = "regression"
        self.optimizer = torch.optim.AdamW(model.parameters())

    def train(self, chosen: Array) -> None:
        """One step."""
        self.training.train()
        batch = self._batch(chosen)
        losses = self.training.recipe.losses
        terms = losses.terms(self.training.context(batch))
        values = {name: term.value for name, term in terms.items()}
        _descend(self.optimizer, weighted(values, losses.weights))

    @torch.no_grad()
    def infer(self, chosen: Array) -> None:
        """Answers of one batch."""
        self.training.eval()
        self.training.model.predict(self._batch(chosen).graph)
        _finish(self.device)

    def _batch(self, chosen: Array) -> MolecularBatch:
        batch = self.molecules.batch(chosen)
        if self.has_target:
            batch = replace(batch, targets=_targets(len(chosen)))
        return batch.to(self.device)


class AttentiveFP:
    """The peer, with the widths of `qm9_energy.yaml` and its paper's two layers."""

    def __init__(self, store: Molecules, device: str) -> None:
        from torch_geometric.nn.models import AttentiveFP as Peer

        self.model = Peer(39, 192, 1, 10, num_layers=2, num_timesteps=2).to(device)
        self.optimizer = torch.optim.AdamW(self.model.parameters())
        self.molecules, self.device = store, device

    def train(self, chosen: Array) -> None:
        """One step."""
        self.model.train()
        loss = (self._answers(chosen) - _targets(len(chosen)).to(self.device)).square()
        _descend(self.optimizer, loss.mean())

    @torch.no_grad()
    def infer(self, chosen: Array) -> None:
        """Answers of one batch."""
        self.model.eval()
        self._answers(chosen)
        _finish(self.device)

    def _answers(self, chosen: Array) -> torch.Tensor:
        graph = self.molecules.batch(chosen).graph.to(self.device)
        edges = torch.stack([graph.source, graph.target])
        found: torch.Tensor = self.model(
            graph.atom_features, edges, graph.edge_features, graph.molecule
        )
        return found


def _targets(count: int) -> torch.Tensor:
    return torch.randn(count, 1)


def _descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    loss.item()  # waits for the device


def _finish(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def molecules(path: Path) -> Molecules:
    """Molecules of a set of minima whose bonds can be told."""
    with tempfile.TemporaryDirectory() as folder:
        store, _ = perceive_sets([path], Path(folder) / "molecules.h5")
    return Molecules(store, None)


def candidates(store: Molecules, device: str) -> dict[str, Ours | AttentiveFP]:
    """The models by name; the peer if it is installed."""
    models: dict[str, Ours | AttentiveFP] = {
        name: Ours(recipe, store, device) for name, recipe in RECIPES.items()
    }
    try:
        models["Attentive FP (torch_geometric)"] = AttentiveFP(store, device)
    except ImportError as error:
        print(f"without Attentive FP: {error}")
    return models


def by_rdkit(store: Molecules) -> dict[str, Work]:
    """Rates of what is done molecule by molecule, on one thread."""
    smiles = store.store.smiles

    def features(chosen: Array) -> None:
        for text in smiles[chosen]:
            featurise(str(text))

    def conformers(chosen: Array) -> None:
        for text in smiles[chosen]:
            rdkit_conformer(Chem.MolFromSmiles(str(text)), 0)

    return {"features from SMILES": features, "RDKit: ETKDGv3 + MMFF94": conformers}


def measure(work: dict[str, Work], chosen: Array, rounds: int) -> Rates:
    """Molecules a second: median of rounds in turn, after one that does not count."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(rounds + 1):
        for name, do in work.items():
            start = perf_counter()
            do(chosen)
            if turn:
                times[name].append(perf_counter() - start)
    return {name: len(chosen) / median(taken) for name, taken in times.items()}


def measure_device(
    store: Molecules, device: str, batches: list[int], rounds: int
) -> dict[str, Rates]:
    """Training and inference of every model, by size of the batch."""
    models = candidates(store, device)
    found = {}
    for size in batches:
        # More than there are: from the start again.
        chosen = np.arange(size) % len(store.store)
        for what in ("training", "inference"):
            work = {name: getattr(model, WHAT[what]) for name, model in models.items()}
            found[f"{what}, {size}"] = measure(work, chosen, rounds)
            print(f"{device}: {what}, batches of {size}", flush=True)
    return found


def table(found: dict[str, Rates]) -> str:
    """Markdown: a row for each model, a column for each size of batch."""
    lines = [f"| | {' | '.join(found)} |", "| --- |" + " --- |" * len(found)]
    for name in dict.fromkeys(name for rates in found.values() for name in rates):
        cells = [f"{r[name]:,.0f}" if name in r else "" for r in found.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="HDF5 set of minima")
    parser.add_argument("--batches", type=int, nargs="*", default=[32, 128, 512])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.manual_seed(0)
    store = molecules(options.data)
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    found = {
        device: measure_device(store, device, options.batches, options.rounds)
        for device in devices
    }
    everything = np.arange(len(store.store))
    found["one by one"] = {
        "molecules a second": measure(by_rdkit(store), everything, 1)
    }
    about = (
        f"{torch.get_num_threads()} threads, torch {torch.__version__}; molecules a "
        f"second, medians of {options.rounds} rounds; {len(store.store)} molecules of "
        f"{store.store.n_atoms.mean():.1f} heavy atoms"
    )
    parts = [f"{where}\n\n{table(rates)}" for where, rates in found.items()]
    text = "\n\n".join([about, *parts])
    print(text)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        content = json.dumps({"about": about, **found}, indent=1)
        (options.out / "molecular.json").write_text(content + "\n")
        (options.out / "molecular.md").write_text(text + "\n")


if __name__ == "__main__":
    main()
