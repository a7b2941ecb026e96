"""Active learning in three commands: relax, label what is uncertain, train on it.

    python examples/active_learning.py "ON=NO" --model reactions.pt

The model must be a committee with a measured threshold. Of structures like those that
it was trained on, such as "CC(=O)ON", it is sure: there is nothing to learn. Labels are
GFN2-xTB's, by tblite, since that is what reactions.pt was trained on; use the method
of your model.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ase_physml import PhysMLCalculator
from ase_physml.data.conversion import to_atoms
from ase_physml.data.dataset import RaggedSet

RECIPE = Path(__file__).parent / "finetune.yaml"


def run(command: str) -> None:
    """Show a command, then run it."""
    print(f"$ {command}", flush=True)
    _, *arguments = shlex.split(command)
    subprocess.run([sys.executable, "-m", "ase_physml.cli", *arguments], check=True)


def compare(before: str, after: Sequence[str]) -> None:
    """Forces of what was uncertain, by the committee as it was and as it is."""
    frames = list(RaggedSet("labelled.h5"))
    labels = np.concatenate([np.asarray(one.forces).ravel() for one in frames])
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.subplots()
    for name, model in (("before", before), ("after", list(after))):
        found = PhysMLCalculator(model).calculate_many([to_atoms(f) for f in frames])
        forces = np.concatenate([one["forces"].ravel() for one in found])
        error = abs(forces - labels).mean()
        axes.plot(labels, forces, "o", ms=4, label=f"{name}: {error:.2f} eV/Å off")
        print(f"{name}: forces of what was uncertain are {error:.2f} eV/Å off")
    axes.axline((0.0, 0.0), slope=1.0, color="black", lw=0.8, ls="--")
    axes.set(xlabel="force, labelled (eV/Å)", ylabel="force, predicted (eV/Å)")
    axes.legend(frameon=False)
    figure.savefig("active_learning.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("structures", nargs="+", help="SMILES or files")
    parser.add_argument("--model", default="reactions.pt")
    parser.add_argument("--labels", default="tblite:GFN2-xTB")
    parser.add_argument("--steps", type=int, default=2000, help="of training")
    options = parser.parse_args()
    structures = shlex.join(options.structures)
    # What an earlier round left is no part of this one.
    Path("doubtful.h5").unlink(missing_ok=True)
    run(
        f"physml relax {structures} --model {options.model} --overwrite "
        "--uncertain doubtful.h5"
    )
    if not Path("doubtful.h5").exists():
        print("The committee is sure of all of them: nothing to learn here.")
        return
    run(
        f"physml data label doubtful.h5 labelled.h5 --model {options.labels} "
        "--overwrite"
    )
    # Each member anew, with its own seed, makes the next committee.
    for member in (0, 1):
        run(
            f"physml train {RECIPE} sources.0.path=labelled.h5 name=member{member} "
            f"start_from={options.model} start_member={member} seed={member} "
            f"stages.0.steps={options.steps}"
        )
    compare(options.model, [f"runs/member{k}/member{k}.pt" for k in (0, 1)])
    print("drawn in active_learning.png")


if __name__ == "__main__":
    main()
