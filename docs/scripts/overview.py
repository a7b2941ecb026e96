"""The picture of the README: a relaxation, a reaction path, the time of a call.

    python docs/scripts/overview.py

searches the path anew, half a minute of a core; times are those of
benchmarks/results/latency.json.
"""

import numpy as np
from ase.visualize.plot import plot_atoms
from figures import ROOT, stored
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ase_physml import PhysMLCalculator, find_pathway, from_smiles, relax

OUT = ROOT / "docs/pictures/overview.png"
MOLECULE = "CC(=O)NC1CC1"
REACTION = "[CH3:1][C:2](=[O:3])[CH3:4]>>[CH3:1][C:2]([OH:3])=[CH2:4]"
BLUE, ORANGE = "#3f51b5", "#e8710a"


def draw_relaxation(axes: Axes) -> None:
    found = relax(from_smiles(MOLECULE), "qm9.pt")
    above = np.array(found.energies) - found.energies[-1]
    axes.plot(above, ".-", color=BLUE, ms=4)
    axes.set(
        xlabel="step", ylabel="energy above the last (eV)", title=f"relax {MOLECULE}"
    )
    inset = axes.inset_axes((0.42, 0.3, 0.55, 0.65))
    plot_atoms(found.atoms, inset, rotation="20x,30y,0z", radii=0.45)
    inset.axis("off")


def draw_path(axes: Axes) -> None:
    calculator = PhysMLCalculator("reactions.pt")
    path = find_pathway(REACTION, calculator).path
    if path is None or not path.sound:
        raise SystemExit("the path gives no barrier: nothing to draw")
    energies = path.energies - path.energies[0]
    members = np.array([im.calc.results["energy_members"] for im in path.images])
    scale = calculator.calibration.energy_scale if calculator.calibration else 1.0
    spread = scale * (members - members[0]).std(axis=1, ddof=1)
    steps = np.arange(len(energies))
    axes.fill_between(
        steps, energies - spread, energies + spread, color=ORANGE, alpha=0.25, lw=0
    )
    axes.plot(steps, energies, "o-", color=ORANGE, ms=4)
    said = f"{path.barrier:.2f} ± {path.barrier_std or 0.0:.2f} eV"
    top = int(energies.argmax())
    axes.annotate(
        said,
        (top, energies[top]),
        textcoords="offset points",
        xytext=(0, 9),
        ha="center",
    )
    axes.margins(y=0.15)
    axes.set(xlabel="image", ylabel="energy (eV)", title="path: acetone to propen-2-ol")


def draw_times(axes: Axes) -> None:
    found = stored(ROOT / "benchmarks/results/latency.json")["single"]
    atoms = [one["atoms"] for one in found]
    for key, name, colour in (
        ("tblite:GFN2-xTB", "GFN2-xTB", "black"),
        ("native", "qm9.pt", BLUE),
    ):
        axes.loglog(
            atoms, [one["ms"][key] for one in found], "o-", color=colour, label=name
        )
    axes.set_xticks(atoms, [str(n) for n in atoms])
    axes.minorticks_off()
    ticks = (2, 5, 10, 20, 50, 100, 200)
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.set(
        xlabel="atoms", ylabel="ms", title="energy and forces, one core", ylim=(1, 300)
    )
    axes.legend(frameon=False)


def main() -> None:
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    draw_relaxation(left)
    draw_path(middle)
    draw_times(right)
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
    OUT.parent.mkdir(exist_ok=True)
    figure.savefig(OUT, dpi=110)


if __name__ == "__main__":
    main()
