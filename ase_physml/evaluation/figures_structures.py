"""Figures of suites that relax structures."""

from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.data.colors import jmol_colors

from ase_physml.chem.bonds import bonded_pairs
from ase_physml.evaluation.canvas import (
    ByCandidate,
    new_figure,
    outside_legend,
    shown,
)
from ase_physml.evaluation.suites.structure import DEVIATIONS
from ase_physml.evaluation.suites.textbook import ANGLE, LENGTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SHOWN = 4  # broken molecules, of each candidate


def structure(found: ByCandidate) -> "Figure":
    """Share of molecules within a distance, and the median of each displacement."""
    figure = new_figure(2)
    left, right = figure.subplots(1, 2)
    for one in shown(found):
        some = list(one.records.values())
        moved = np.sort([r["moved"] for r in some if r["deviation"] == 0.1])
        if len(moved):
            share = 100.0 * np.arange(1, len(moved) + 1) / len(moved)
            left.semilogx(np.maximum(moved, 1e-4), share, color=one.colour)
        means = [
            np.median([r["moved"] for r in some if r["deviation"] == d] or [np.nan])
            for d in DEVIATIONS
        ]
        right.plot(DEVIATIONS, means, "o-", color=one.colour, label=one.name)
    left.axvline(0.1, color="black", lw=0.8, ls="--")
    left.set(xlabel="ΔP after 0.1 Å (Å)", ylabel="molecules (%)", xlim=(1e-3, 10.0))
    right.set(xlabel="displaced by (Å)", ylabel="ΔP, median (Å)", yscale="log")
    outside_legend(right)
    return figure


def textbook(found: ByCandidate) -> "Figure":
    """Share of bonds and of angles within an error."""
    figure = new_figure(2)
    left, right = figure.subplots(1, 2)
    for one in shown(found):
        some = list(one.records.values())
        for axes, key in ((left, "lengths"), (right, "angles")):
            errors = np.sort(np.concatenate([r[key] for r in some]))
            share = 100.0 * np.arange(1, len(errors) + 1) / len(errors)
            axes.semilogx(
                np.maximum(errors, 1e-4), share, color=one.colour, label=one.name
            )
    left.axvline(LENGTH, color="black", lw=0.8, ls="--")
    right.axvline(ANGLE, color="black", lw=0.8, ls="--")
    left.set(xlabel="error of bond lengths (Å)", ylabel="bonds (%)")
    right.set(xlabel="error of angles (°)", ylabel="angles (%)")
    outside_legend(right)
    return figure


def assembly(found: ByCandidate) -> "Figure":
    """Molecules as they were broken and as they ended, the worst and the best."""
    those = list(shown(found))
    figure = new_figure(2, height=2.4 * max(1, len(those)))
    grid = figure.subplots(max(1, len(those)), 2 * _SHOWN, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for row, one in zip(grid, those, strict=False):
        some = [(k, r) for k, r in one.records.items() if "left out" not in r]
        some.sort(key=lambda item: -item[1]["rmsd"])
        half = _SHOWN // 2
        chosen = some[:half] + some[-half:] if len(some) > _SHOWN else some
        for k, (key, record) in enumerate(chosen):
            numbers = record["numbers"]
            _draw(row[2 * k], Atoms(numbers, record["before"]), key.replace(", ", "\n"))
            ended = "assembled" if record["success"] else f"RMSD {record['rmsd']:.2f} Å"
            _draw(row[2 * k + 1], Atoms(numbers, record["after"]), ended)
        row[0].text(
            -0.1, 0.5, one.name, transform=row[0].transAxes, rotation=90, va="center"
        )
    return figure


def _draw(axes: "Axes", atoms: Atoms, title: str) -> None:
    """Balls and sticks, seen from where the molecule is widest."""
    centred = atoms.positions - atoms.positions.mean(axis=0)
    _, _, turn = np.linalg.svd(centred)
    x, y, z = (centred @ turn.T).T
    for i, j in bonded_pairs(atoms):
        axes.plot(x[[i, j]], y[[i, j]], color="0.5", lw=1.5, zorder=0)
    nearest_last = np.argsort(z)
    numbers = atoms.numbers[nearest_last]
    axes.scatter(
        x[nearest_last],
        y[nearest_last],
        s=40.0 + 60.0 * covalent_radii[numbers],
        c=jmol_colors[numbers],
        edgecolors="black",
        linewidths=0.5,
    )
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.15)
    axes.axis("off")
    axes.set_title(title, fontsize=7)
