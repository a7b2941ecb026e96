"""Runs the examples that the site shows, and keeps what they print and draw.

    python docs/scripts/gallery.py [relax.ipynb screen.py ...] [--anew]

fills docs/made/, with the executed notebooks too. What is newer than its source and the
shipped models stays.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import notebooks

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
MADE = ROOT / "docs" / "made"
TABLE = str(EXAMPLES / "boiling_points.csv")

RUNS: dict[str, list[str]] = {
    "relax_and_compare": [],
    "pair_parameters": ["H2O"],
    "conformers": ["CC(=O)NCCO"],
    "reaction_path": ["--model", "reactions_delta.pt"],
    "vibrations": [],
    "fingerprints": ["--model", "esol.pt"],
    "own_property": [TABLE, "boiling"],
    "adsorption_sites": [],
    "train_potential": ["--steps", "1000"],
    "active_learning": ["ON=NO", "--steps", "200"],
    "screen": [TABLE],
    "trust": [],
}
# All but the last line of a training's progress.
_PROGRESS = re.compile(r"(^step .*\n)+(?=step )", re.M)
# Pictures beside those that are called like the script.
OTHERS = {
    "train_potential": {"runs/quickstart/curves.png": "train_potential_curves.png"},
}


def is_fresh(made: Path, source: Path) -> bool:
    """Whether what was made is newer than what it was made of."""
    sources = (source, ROOT / "potentials" / "registry.yaml", Path(__file__))
    return made.exists() and all(
        made.stat().st_mtime > one.stat().st_mtime for one in sources
    )


def run(name: str) -> None:
    """Run an example in a folder of its own; its end is that of this program."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", EXAMPLES / f"{name}.py", *RUNS[name]],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"examples/{name}.py: {done.stderr}")
        pictures = {f"{name}.png": f"{name}.png", **OTHERS.get(name, {})}
        for source, target in pictures.items():
            if (Path(folder) / source).exists():
                shutil.copy(Path(folder) / source, MADE / target)
        # Nobody else has these folders.
        text = done.stdout.replace(f"{ROOT}/", "").replace(f"{folder}/", "")
        (MADE / f"{name}.txt").write_text(_PROGRESS.sub("...\n", text), "utf-8")


def execute(name: str) -> None:
    """Run a notebook with this package, whatever else is installed."""
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])
    )
    notebooks.execute(name, MADE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="of scripts or notebooks; else all")
    parser.add_argument("--anew", action="store_true", help="also what is fresh")
    options = parser.parse_args()
    MADE.mkdir(exist_ok=True)
    works = [(run, EXAMPLES / f"{n}.py", MADE / f"{n}.txt") for n in RUNS]
    works += [
        (execute, notebooks.FOLDER / f"{n}.ipynb", MADE / f"{n}.ipynb")
        for n in notebooks.NAMES
    ]
    for work, source, made in works:
        chosen = not options.names or source.name in options.names
        if chosen and (options.anew or not is_fresh(made, source)):
            began = perf_counter()
            work(source.stem)
            shown = source.relative_to(ROOT).as_posix()
            print(f"{shown}: {perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
