"""Train and measure every row of the paper's ablation table, and two of ours.

    cd FOLDER_OF_THE_DATA
    python REPO/training/physml/ablation.py --out runs/ablation
    python REPO/training/physml/ablation.py --protocol printed --seeds 0 1 2 \
        --out runs/ablation_printed

Twelve runs of `ablation.yaml` with the same data and steps, ten with parts of the
model or losses switched off, two with the denoising that `qm9_first.yaml`
adds; on the molecules of seven heavy atoms and fewer, which few steps can teach.
``--protocol printed`` is of `ablation_printed.yaml`, the paper's ten rows by the
paper's objective. Every run resumes where it was, rows that are measured are left
alone: start it again after a kill. Writes ``ROW.json`` (``ROW_SEED.json`` of seeds but
0) and ``ablation.md``.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from ase_physml.data.dataset import RaggedSet
from ase_physml.data.index_split import Split
from ase_physml.data.writer import write

HERE = Path(__file__).parent
SPLIT = HERE.parent / "splits" / "qm9_energies.json"

PARTS = ("CLS", "LJP", "Mask", "Force", "Bound")
# Parts of each row, and what the paper measured: MAE_E (meV), MAE_F (eV/Å), ΔP (Å).
ROWS: dict[str, tuple[set[str], tuple[float, ...]]] = {
    "1": (set(), (11.83, 0.77, 1.76)),
    "2": ({"CLS"}, (9.03, 0.90, 1.11)),
    "3": ({"CLS", "LJP", "Mask"}, (9.70, 1.91, 0.814)),
    "4": ({"CLS", "LJP", "Force"}, (10.18, 0.016, 0.141)),
    "5": ({"CLS", "LJP", "Bound"}, (16.34, 0.007, 0.038)),
    "6": ({"CLS", "Mask", "Force", "Bound"}, (20.67, 0.004, 0.022)),
    "7": ({"CLS", "LJP", "Force", "Bound"}, (17.50, 0.005, 0.027)),
    "8": ({"CLS", "LJP", "Mask", "Bound"}, (17.34, 0.013, 0.044)),
    "9": ({"CLS", "LJP", "Mask", "Force"}, (9.65, 0.015, 0.083)),
    "10": (set(PARTS), (15.16, 0.005, 0.025)),
    "11": ({*PARTS, "Denoising"}, ()),
    "12": ({*PARTS, "Denoising"} - {"Bound"}, ()),
}
# What the paper does not have, as in qm9_first.yaml.
DENOISING = (
    "stages.1.losses.denoise=1.0",
    "noise.thermal=0.1", "noise.thermal_share=0.75", "noise.relaxed=3",
    "noise.pulled_share=0.3", "noise.reach=0.8",
)  # fmt: skip
# What switching a part off overrides.
WITHOUT = {
    "CLS": ("model.cls=none", "model.cls_energy=false"),
    "LJP": ("model.pair_energy=false",),
    "Mask": ("stages.{}.losses.mask=0",),
    "Force": ("stages.{}.losses.zero_force=0",),
    "Bound": ("stages.{}.losses.bound=0",),
}


@dataclass(frozen=True)
class Protocol:
    """Recipe of the full model, and its stage that has all losses."""

    recipe: str
    stage: int
    rows: tuple[str, ...]


PROTOCOLS = {
    "ours": Protocol("ablation.yaml", 1, tuple(ROWS)),
    "printed": Protocol("ablation_printed.yaml", 0, tuple(ROWS)[:10]),
}


def overrides(row: str, seed: int, protocol: Protocol) -> list[str]:
    """Overrides of the recipe for a row."""
    parts, _ = ROWS[row]
    switched = [
        text.format(protocol.stage)
        for part in PARTS
        if part not in parts
        for text in WITHOUT[part]
    ]
    if "Denoising" in parts:
        switched += DENOISING
    return [f"name={label(row, seed)}", f"seed={seed}", *switched]


def label(row: str, seed: int) -> str:
    """Name of a run."""
    return f"row{row}_{seed}" if seed else f"row{row}"


def subset(data: Path, heavy: int, out: Path) -> None:
    """The molecules of so many heavy atoms or fewer, each on its side of the split."""
    if (out / "split.json").exists():
        return
    whole = RaggedSet(data)
    counts = np.add.reduceat(whole.column("atomic_numbers") > 1, whole.offsets[:-1])
    small = np.flatnonzero(counts <= heavy)
    write(out / "subset.h5", whole.read(small), whole.metadata)
    split = Split.load(SPLIT)
    parts = (split.train, split.val, split.test)
    Split(*(np.flatnonzero(np.isin(small, p)) for p in parts)).save(out / "split.json")


def train(row: str, seed: int, protocol: Protocol, out: Path, extra: list[str]) -> Path:
    """Train a row, or go on with it."""
    folder = out / label(row, seed)
    command = [sys.executable, "-m", "ase_physml.cli", "train"]
    command += [str(HERE / protocol.recipe)]
    command += [f"sources.0.path={out.resolve() / 'subset.h5'}"]
    command += [f"sources.0.split={out.resolve() / 'split.json'}"]
    command += [*overrides(row, seed, protocol), *extra]
    command += ["--out", str(folder), "--resume", "last"]
    subprocess.run(command, check=True)
    return folder / f"{label(row, seed)}.pt"


def measure(potential: Path, molecules: int, out: Path, result: Path) -> None:
    """Errors of a row on the test part."""
    command = [sys.executable, HERE.parent / "evaluate.py", potential, "--data"]
    command += [out / "subset.h5", "--split", out / "split.json"]
    command += ["--molecules", str(molecules), "--out", result]
    subprocess.run(list(map(str, command)), check=True)


def table(out: Path, seeds: list[int]) -> str:
    """Table of the rows that are measured, means over seeds, beside the paper's."""
    lines = [
        "| row | parts | MAE_E (meV) | MAE_F (eV/Å) | ΔP (Å) | paper |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row, (parts, paper) in ROWS.items():
        paths = [out / f"{label(row, seed)}.json" for seed in seeds]
        every = [json.loads(path.read_text()) for path in paths if path.exists()]
        if not every:
            continue
        named = ", ".join(p for p in (*PARTS, "Denoising") if p in parts) or "base"
        moved = [found["recovery_from_0.1_A"]["mean_A"] for found in every]
        energy = [found["mae_energy_meV"] for found in every]
        force = [found["mae_force_eV_per_A"] for found in every]
        lines.append(
            f"| {row} | {named} | {_mean(energy, 0)} | {_mean(force, 3)} | "
            f"{_mean(moved, 3)} | {' / '.join(map(str, paper))} |"
        )
    return "\n".join(lines) + "\n"


def _mean(values: list[float], digits: int) -> str:
    spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{spread}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--protocol", choices=list(PROTOCOLS), default="ours")
    parser.add_argument("--rows", nargs="*", choices=list(ROWS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--data", type=Path, default="qm9_energies.h5")
    parser.add_argument("--heavy", type=int, default=7, help="atoms at most")
    parser.add_argument("--molecules", type=int, default=64)
    parser.add_argument("--set", nargs="*", default=[], help="further key=value")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    subset(options.data, options.heavy, options.out)
    protocol = PROTOCOLS[options.protocol]
    for seed in options.seeds:
        for row in options.rows or protocol.rows:
            result = options.out / f"{label(row, seed)}.json"
            if not result.exists():
                potential = train(row, seed, protocol, options.out, options.set)
                measure(potential, options.molecules, options.out, result)
            text = table(options.out, options.seeds)
            (options.out / "ablation.md").write_text(text)
    print(table(options.out, options.seeds))


if __name__ == "__main__":
    main()
