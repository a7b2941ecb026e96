"""A property of your own, from a table to predictions, in four commands.

    python examples/own_property.py examples/boiling_points.csv boiling

Two models are trained on one split and joined: each prediction comes with how far they
part. Boiling points (°C, at 1 atm, from the literature) of 48 small molecules take
two minutes.
"""

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

RECIPE = Path(__file__).parent / "properties.yaml"
MEMBERS = (0, 1)


def run(command: str) -> None:
    """Show a command, then run it."""
    print(f"$ {command}", flush=True)
    _, *arguments = shlex.split(command)
    subprocess.run([sys.executable, "-m", "ase_physml.cli", *arguments], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help="CSV file with SMILES")
    parser.add_argument("target", help="its column to learn")
    parser.add_argument("--steps", type=int, default=600, help="of training")
    options = parser.parse_args()
    table = shlex.quote(str(options.table))
    target = shlex.quote(options.target)
    run(f"physml data table {table} mine.h5 --target {target} --overwrite")
    for member in MEMBERS:
        run(
            f"physml train {shlex.quote(str(RECIPE))} name=mine{member} seed={member} "
            f"data=mine.h5 split=mine.json steps={options.steps}"
        )
    models = " ".join(f"runs/mine{member}/mine{member}.pt" for member in MEMBERS)
    run(f"physml committee {models} --data mine.h5 --split mine.json --out mine.pt")
    run(f"physml predict ./mine.pt {table} -o predicted.csv --overwrite")


if __name__ == "__main__":
    main()
