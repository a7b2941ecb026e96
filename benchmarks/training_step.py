"""Time a training step by loss set and preset, beside TorchMD-NET's ET.

    pip install 'torchmd-net==3.1.0' --no-deps && pip install torch_geometric warp-lang
    python benchmarks/training_step.py --out benchmarks/results

All models are timed in one process, in turn, on the same batches: 32 molecules each,
of 15 to 21 atoms as most of QM9. A step is loss, backward pass and AdamW. Figures
are medians over the rounds, in milliseconds per molecule; ratios are taken round by
round. Writes ``training_step.json`` and ``.md``.
"""

import argparse
import json
import platform
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from candidates import PRESETS, build_et

from ase_physml.data.dataset import RaggedSet
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.model import PhysML
from ase_physml.training.batches import Batch, FrameStore
from ase_physml.training.displacement import Noise
from ase_physml.training.distributed import weighted
from ase_physml.training.physml_module import FrameContext, PhysMLTraining
from ase_physml.training.physml_recipe import FrameLosses, PhysMLRecipe, Source

PHYSICS = {"energy": 1.0, "zero_force": 10.0, "bound": 0.1, "mask": 0.01}
LOSSES = {
    "energy": {"energy": 1.0},
    "energy + force": {"energy": 1.0, "zero_force": 10.0},
    "all four": PHYSICS,
    "all four + denoising": {**PHYSICS, "denoise": 1.0},
}
PEER_LOSSES = ("energy", "energy + force")
DATA = Path(__file__).parents[1] / "training" / "quickstart.h5"
SIZES = (15, 17, 18, 19, 21)
Step = Callable[[Batch], None]


def molecules(path: Path, count: int) -> list[Batch]:
    """One batch of each size, as large as the molecules of QM9 mostly are."""
    data = RaggedSet(path)
    batches = []
    for size in SIZES:
        frames = np.flatnonzero(data.n_atoms == size)[:count]
        batch = FrameStore(data, frames).batch(np.arange(len(frames)))
        batches.append(replace(batch, equilibrium=True))
    return batches


def physml(preset: str, how: str) -> dict[str, Step]:
    """Training steps by the trainer's own code, one for each set of losses.

    Args:
        preset: Size of the model.
        how: "" by torch, " compiled" by its compiler, or " native".
    """
    width, depth, heads, n_basis = PRESETS[preset]
    config = PhysMLConfig(width=width, depth=depth, heads=heads, n_basis=n_basis)
    recipe = PhysMLRecipe(
        name="benchmark",
        sources=(Source("none"),),
        model=config,
        compile=how == " compiled",
        backend="native" if how == " native" else "torch",
    )
    # Of all sets, so that one compilation serves them.
    training = PhysMLTraining(PhysML(config), recipe)
    optimizer = torch.optim.AdamW(training.model.parameters(), fused=True)
    return {
        name: partial(_physml_step, training, optimizer, FrameLosses.from_weights(**w))
        for name, w in LOSSES.items()
    }


def _physml_step(
    training: PhysMLTraining,
    optimizer: torch.optim.Optimizer,
    losses: FrameLosses,
    batch: Batch,
) -> None:
    noise = Noise(power=2.0, thermal_share=0.7 if "denoise" in losses.weights else 0.0)
    given = (training.recipe, training.evaluator, losses.each, noise)
    terms = losses.terms(FrameContext(batch, *given))
    optimizer.zero_grad()
    weighted({k: v.value for k, v in terms.items()}, losses.weights).backward()
    optimizer.step()


def torchmd_et(preset: str, losses: dict[str, float]) -> Step:
    """An ET training step, by its own model class with its QM9 settings."""
    needs_forces = "zero_force" in losses
    model = build_et(preset, forces=needs_forces)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def step(batch: Batch) -> None:
        m, n = batch.numbers.shape
        owner = torch.arange(m).repeat_interleave(n)
        energies, forces = model(
            batch.numbers.flatten(), batch.positions.reshape(-1, 3), owner
        )
        loss = (energies.flatten() - batch.energies.float()).square().mean()
        if needs_forces:
            loss = loss + 10.0 * forces.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def measure(
    steps: dict[str, Step], rounds: int, batches: list[Batch]
) -> dict[str, list[float]]:
    """Milliseconds per molecule of every step, round by round, in turn."""
    count = sum(len(batch.numbers) for batch in batches)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for name, step in steps.items():
        print(f"warming up {name}", flush=True)
        for batch in batches:
            step(batch)
    for _ in range(rounds):
        for name, step in steps.items():
            start = perf_counter()
            for batch in batches:
                step(batch)
            taken = perf_counter() - start
            times[name].append(1000.0 * taken / count)
    return times


def candidates(preset: str, compiled: bool, peers: bool) -> dict[str, Step]:
    """Every way to take a step at this preset."""
    steps: dict[str, Step] = {}
    for how in ("", " compiled", " native") if compiled else ("", " native"):
        for name, step in physml(preset, how).items():
            steps[f"PhysML {preset}{how}, {name}"] = step
    if peers:
        for name in PEER_LOSSES:
            steps[f"ET {preset}, {name}"] = torchmd_et(preset, LOSSES[name])
    return steps


def table(times: dict[str, list[float]], preset: str) -> str:
    """Markdown: the median of each, and how many times faster native code is."""
    lines = [
        f"| {preset}: step with losses | torch | compiled | native | ET "
        "| compiled / native | ET / native |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in LOSSES:
        plain = times[f"PhysML {preset}, {name}"]
        compiled = times.get(f"PhysML {preset} compiled, {name}")
        native = times[f"PhysML {preset} native, {name}"]
        peer = times.get(f"ET {preset}, {name}")
        cells = [_figure(one) for one in (plain, compiled, native, peer)]
        cells += [_ratio(compiled, native), _ratio(peer, native)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _figure(values: list[float] | None) -> str:
    return "" if values is None else f"{median(values):.2f}"


def _ratio(over: list[float] | None, under: list[float] | None) -> str:
    if over is None or under is None:
        return ""
    return f"{median(a / b for a, b in zip(over, under, strict=True)):.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presets", nargs="*", default=list(PRESETS), choices=PRESETS)
    parser.add_argument("--data", type=Path, default=DATA, help="HDF5 set")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--molecules", type=int, default=32)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.manual_seed(0)
    about = (
        f"{torch.get_num_threads()} threads, {platform.processor() or 'CPU'}, torch "
        f"{torch.__version__}; ms per molecule, medians of {options.rounds} rounds"
    )
    batches = molecules(options.data, options.molecules)
    results: dict[str, Any] = {"about": about, "times": {}}
    tables = [about]
    for preset in options.presets:
        steps = candidates(preset, not options.no_compile, not options.no_peers)
        times = measure(steps, options.rounds, batches)
        results["times"] |= times
        tables.append(table(times, preset))
        print(tables[-1], flush=True)
        if options.out is not None:
            options.out.mkdir(parents=True, exist_ok=True)
            text = json.dumps(results, indent=1)
            (options.out / "training_step.json").write_text(text + "\n")
            text = "\n\n".join(tables)
            (options.out / "training_step.md").write_text(text + "\n")


if __name__ == "__main__":
    main()
