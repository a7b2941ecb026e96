"""Figures of suites that follow the energy along a way, or in time."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ase_physml.evaluation.canvas import (
    ByCandidate,
    new_figure,
    outside_legend,
    shown,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 4


def smoothness(found: ByCandidate) -> "Figure":
    """Energy along every scan, one panel each, all candidates in it."""
    return _scans(found)


def dissociation(found: ByCandidate) -> "Figure":
    """Energy along every bond that is pulled."""
    return _scans(found)


def dynamics(found: ByCandidate) -> "Figure":
    """Total energy of each run, a panel for each temperature."""
    temperatures = sorted(
        {r["temperature"] for one in shown(found) for r in one.records.values()}
    )
    figure = new_figure(2, height=3.6)
    panels = np.atleast_1d(figure.subplots(1, max(1, len(temperatures))))
    most = 0.0
    for one in shown(found):
        for record in one.records.values():
            axes = panels[temperatures.index(record["temperature"])]
            named = one.name not in axes.get_legend_handles_labels()[1]
            axes.plot(
                record["time"],
                record["energies"],
                lw=0.8,
                color=one.colour,
                label=one.name if named else None,
            )
            most = max(most, float(np.abs(record["energies"]).max()))
    for axes, temperature in zip(panels, temperatures, strict=False):
        # One run that explodes shall not hide the others.
        axes.set_ylim(-min(most, 30.0), min(most, 30.0))
        axes.set(title=f"{temperature:g} K", xlabel="time (ps)")
    panels[0].set_ylabel("total energy (meV/atom)")
    outside_legend(panels[-1])
    return figure


def vibrations(found: ByCandidate) -> "Figure":
    """Errors of harmonic wave numbers."""
    figure = new_figure(1, height=4.0)
    axes = figure.subplots()
    for one in shown(found):
        some = list(one.records.values())
        true, own = (
            np.concatenate([r[key] for r in some]) for key in ("label", "found")
        )
        axes.plot(true, own - true, "o", ms=4, color=one.colour, label=one.name)
    axes.axhline(0.0, color="black", lw=0.8, ls="--")
    # One mode of nonsense shall not hide the others.
    axes.set_ylim(-800.0, 800.0)
    axes.set(xlabel="wave number, measured (cm⁻¹)", ylabel="error (cm⁻¹)")
    outside_legend(axes)
    return figure


def masked(found: ByCandidate) -> "Figure":
    """Likelihood of each element along the way of a hidden atom."""
    those = [(one.name, list(one.records.items())[:3]) for one in shown(found)]
    figure = new_figure(3, height=2.8 * max(1, len(those)))
    grid = figure.subplots(max(1, len(those)), 3, squeeze=False)
    for row, (name, records) in zip(grid, those, strict=False):
        for axes, (key, record) in zip(row, records, strict=False):
            for symbol, curve in record["curves"].items():
                axes.plot(record["along"], curve, label=symbol)
            axes.set_title(f"{name}: {record['element']} of {key}", fontsize=8)
            axes.set_xlabel("z (Å)")
        row[0].set_ylabel("likelihood")
        row[0].legend(fontsize=7)
    return figure


def _scans(found: ByCandidate) -> "Figure":
    scans: dict[str, list[Any]] = {}
    for one in shown(found):
        for key, record in one.records.items():
            if record["kind"] == "scan":
                scans.setdefault(key, []).append((one, record))
    rows = max(1, -(-len(scans) // _COLUMNS))
    figure = new_figure(_COLUMNS, height=0.4 + 2.4 * rows)
    grid = figure.subplots(rows, _COLUMNS, squeeze=False)
    for axes in grid.flat[len(scans) :]:
        axes.axis("off")
    for axes, (key, curves) in zip(grid.flat, scans.items(), strict=False):
        for one, record in curves:
            energies = np.array(record["energies"])
            axes.plot(record["shifts"], energies - energies[-1], color=one.colour)
        axes.set_ylim(-12.0, 8.0)
        if "H2O, distance" in key:
            axes.set_ylim(-0.5, 0.5)
        axes.set_title(key, fontsize=8)
        axes.tick_params(labelsize=7)
    figure.supxlabel("shift (Å)", fontsize=9)
    figure.supylabel("energy above the end (eV)", fontsize=9)
    lines = [
        figure.axes[0].plot([], [], color=one.colour, label=one.name)[0]
        for one in shown(found)
    ]
    figure.legend(
        handles=lines, ncols=4, fontsize=8, frameon=False, loc="outside upper center"
    )
    return figure
