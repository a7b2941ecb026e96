"""Figures of suites that compare energies with known ones."""

from typing import TYPE_CHECKING

import numpy as np

from ase_physml.evaluation.canvas import (
    ByCandidate,
    new_figure,
    outside_legend,
    parity,
    shown,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def conformers(found: ByCandidate) -> "Figure":
    """Differences of conformers against accepted ones."""
    return _one_panel(found, "higher by", "kcal/mol", "label", "energy")


def dimers(found: ByCandidate) -> "Figure":
    """Interaction energies of dimers against those of coupled clusters."""
    return _one_panel(found, "interaction energy", "kcal/mol", "label", "energy")


def torsions(found: ByCandidate) -> "Figure":
    """Barriers and second minima of turns against those of coupled clusters."""
    figure = new_figure(1, height=4.0)
    points = [
        (
            one.name,
            one.colour,
            np.concatenate([r["label"][1:] for r in one.records.values()]),
            np.concatenate([r["found"][1:] for r in one.records.values()]),
        )
        for one in shown(found)
    ]
    parity(figure.subplots(), "above the minimum", "kcal/mol", points)
    return figure


def reaction(found: ByCandidate) -> "Figure":
    """Barriers and reaction energies against those they are held to."""
    figure = new_figure(2, height=4.0)
    panels = zip(
        figure.subplots(1, 2),
        ("barrier", "energy"),
        ("barrier", "reaction energy"),
        strict=True,
    )
    for axes, key, what in panels:
        points = [
            (
                one.name,
                one.colour,
                [r[f"{key}_label"] for r in one.records.values()],
                [r[key] for r in one.records.values()],
            )
            for one in shown(found)
        ]
        parity(axes, what, "eV", points)
        if key == "barrier" and axes.get_legend():
            axes.get_legend().remove()
    return figure


def saddles(found: ByCandidate) -> "Figure":
    """How far own saddles lie from known ones, by reaction."""
    figure = new_figure(1, height=4.0)
    axes = figure.subplots()
    names = list(dict.fromkeys(k for one in shown(found) for k in one.records))
    for one in shown(found):
        rows = [names.index(key) for key in one.records]
        away = [r["away"] for r in one.records.values()]
        right = np.array([r["grade"] == "PASS" for r in one.records.values()])
        faces = [one.colour if is_right else "none" for is_right in right]
        axes.scatter(away, rows, s=36, c=faces, edgecolors=one.colour, label=one.name)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.grid(axis="y", lw=0.4)
    axes.set(xlabel="from the known saddle (Å); filled: joins its ends", xlim=(0, None))
    outside_legend(axes)
    return figure


def extensivity(found: ByCandidate) -> "Figure":
    """What is left of the energy of two molecules, against their distance."""
    figure = new_figure(1, height=4.0)
    axes = figure.subplots()
    for one in shown(found):
        some = list(one.records.values())
        left = 1000.0 * np.abs([r["left"] for r in some]).max(axis=0)
        axes.semilogy(
            some[0]["apart"],
            np.maximum(left, 1e-3),
            "o-",
            color=one.colour,
            label=one.name,
        )
    axes.set(xlabel="apart (Å)", ylabel="largest |ΔE| (meV)")
    outside_legend(axes)
    return figure


def _one_panel(
    found: ByCandidate, what: str, unit: str, true: str, own: str
) -> "Figure":
    figure = new_figure(1, height=4.0)
    points = [
        (
            one.name,
            one.colour,
            [r[true] for r in one.records.values()],
            [r[own] for r in one.records.values()],
        )
        for one in shown(found)
    ]
    parity(figure.subplots(), what, unit, points)
    return figure
