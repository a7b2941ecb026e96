"""Memory and time as a set grows tenfold, and tenfold again: are they in bounds?

Makes files of Transition1x's layout, imports each with `physml data import`, splits it
by reaction, and trains a tiny model on it for as many steps, from the file and from
memory. Every part runs in a process of its own, whose CPU time and memory are measured.

    python benchmarks/scale.py --folder /tmp/scale --out benchmarks/results
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import process_time

from transition1x_like import generate

SIZES = (10_000, 100_000, 1_000_000)
STEPS, BATCHES = 200, 300
_CLI = [sys.executable, "-m", "ase_physml.cli"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="for the files")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--train", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.train:
        data, split, in_memory = chosen.train
        print(json.dumps(trained(data, split, in_memory, chosen.folder)))
        return
    chosen.folder.mkdir(parents=True, exist_ok=True)
    rows = [measured(size, chosen.folder) for size in chosen.sizes]
    text = table(rows)
    print(text)
    chosen.out.mkdir(parents=True, exist_ok=True)
    (chosen.out / "scale.md").write_text(text)


def measured(size: int, folder: Path) -> dict[str, float]:
    """Everything for one size; the files stay in the folder."""
    source, data = folder / f"{size}.source.h5", folder / f"{size}.h5"
    split = folder / f"{size}.json"
    if not source.exists():
        generate(source, size)
    row: dict[str, float] = {"frames": size, "file": source.stat().st_size / 1e6}
    options = ["--precision", "f4", "--overwrite"]
    importing = [*_CLI, "data", "import", str(source), str(data), *options]
    row["import_s"], row["import_MB"], _ = in_child(importing)
    by_reaction = ["--by", "reaction", "--overwrite"]
    splitting = [*_CLI, "data", "split", str(data), str(split), *by_reaction]
    row["split_s"], row["split_MB"], _ = in_child(splitting)
    for name, atoms in (("file", "0"), ("memory", "1000000000")):
        training = [sys.executable, __file__, "--folder", str(folder), "--train"]
        _, memory, said = in_child([*training, str(data), str(split), atoms])
        found = json.loads(said.splitlines()[-1])
        row |= {f"{name}_{key}": value for key, value in found.items()}
        row[f"{name}_MB"] = memory
    return row


def in_child(command: Sequence[str]) -> tuple[float, float, str]:
    """Seconds of CPU, largest resident memory (MB) and output of a command.

    Time of the CPU is what a quiet machine would take: all of it runs in one thread.
    """
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, said


def trained(data: str, split: str, in_memory: str, folder: Path) -> dict[str, float]:
    """Start-up, batches and steps of training, in this process."""
    from ase_physml.models.physml.config import PhysMLConfig
    from ase_physml.training.fit import Run, fit
    from ase_physml.training.physml_data import PhysMLData
    from ase_physml.training.physml_recipe import (
        FrameLosses,
        PhysMLRecipe,
        Source,
        Stage,
    )
    from ase_physml.training.physml_training import build_model

    losses = FrameLosses.from_weights(energy=1.0, forces=1.0)
    recipe = PhysMLRecipe(
        name="scale",
        sources=(Source(data, split),),
        model=PhysMLConfig(width=16, depth=1, heads=2, n_basis=8),
        stages=(Stage(STEPS, losses, warmup=10),),
        steps_per_epoch=STEPS,
        validate=500,
    )
    here, found = Path(), {}
    start = process_time()
    loaded = PhysMLData(recipe, here, int(in_memory))
    build_model(recipe, loaded, here)
    found["start_s"] = process_time() - start
    start = process_time()
    for step in range(BATCHES):
        loaded.stream[step]
    found["batch_ms"] = 1e3 * (process_time() - start) / BATCHES
    del loaded
    start = process_time()
    out = folder / f"run-{os.getpid()}"
    fit(recipe, here, Run(out, in_memory=int(in_memory), progress=False))
    found["fit_s"] = process_time() - start
    return found


def table(rows: Sequence[dict[str, float]]) -> str:
    """Markdown, one column for each size."""
    lines = [
        "| frames | " + " | ".join(f"{int(row['frames']):,}" for row in rows) + " |",
        "| --- |" + " --- |" * len(rows),
    ]
    names = {
        "file": "file of the layout (MB)",
        "import_s": "import (s)",
        "import_MB": "import, largest memory (MB)",
        "split_s": "split by reaction (s)",
        "split_MB": "split, largest memory (MB)",
        "file_start_s": "training from the file: start-up (s)",
        "file_batch_ms": "a batch of 32 (ms)",
        "file_fit_s": f"start-up, {STEPS} steps and a validation (s)",
        "file_MB": "largest memory (MB)",
        "memory_start_s": "training from memory: start-up (s)",
        "memory_batch_ms": "a batch of 32 (ms)",
        "memory_fit_s": f"start-up, {STEPS} steps and a validation (s)",
        "memory_MB": "largest memory (MB)",
    }
    for key, name in names.items():
        cells = " | ".join(f"{row[key]:.3g}" if row[key] < 100 else f"{row[key]:.0f}"
                           for row in rows)  # fmt: skip
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
