"""Figures of the report, as images that a page can hold."""

import base64
import io
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.data.colors import jmol_colors

from ase_physml.chem.bonds import bonded_pairs
from ase_physml.errors import PhysMLError
from ase_physml.evaluation.suite import Records, good
from ase_physml.evaluation.suites.structure import DEVIATIONS
from ase_physml.evaluation.suites.textbook import ANGLE, LENGTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ByCandidate = Mapping[str, Records]
_SHOWN = 4  # broken molecules, of each candidate


def structure(found: ByCandidate) -> "Figure":
    """Share of molecules within a distance, and the median of each displacement."""
    figure = _figure(2)
    left, right = figure.subplots(1, 2)
    for name, records in found.items():
        some = list(good(records).values())
        moved = np.sort([r["moved"] for r in some if r["deviation"] == 0.1])
        if len(moved):
            share = 100.0 * np.arange(1, len(moved) + 1) / len(moved)
            left.semilogx(np.maximum(moved, 1e-4), share, label=name)
        means = [
            np.median([r["moved"] for r in some if r["deviation"] == d] or [np.nan])
            for d in DEVIATIONS
        ]
        right.plot(DEVIATIONS, means, "o-", label=name)
    left.axvline(0.1, color="black", lw=0.8, ls="--")
    left.set(xlabel="ΔP after 0.1 Å (Å)", ylabel="molecules (%)", xlim=(1e-3, 10.0))
    right.set(xlabel="displaced by (Å)", ylabel="ΔP, median (Å)", yscale="log")
    left.legend()
    return figure


def textbook(found: ByCandidate) -> "Figure":
    """Share of bonds and of angles within an error."""
    figure = _figure(2)
    left, right = figure.subplots(1, 2)
    for name, records in found.items():
        some = list(good(records).values())
        for axes, key in ((left, "lengths"), (right, "angles")):
            errors = np.sort(np.concatenate([r[key] for r in some] or [np.zeros(0)]))
            share = 100.0 * np.arange(1, len(errors) + 1) / max(1, len(errors))
            axes.semilogx(np.maximum(errors, 1e-4), share, label=name)
    left.axvline(LENGTH, color="black", lw=0.8, ls="--")
    right.axvline(ANGLE, color="black", lw=0.8, ls="--")
    left.set(xlabel="error of bond lengths (Å)", ylabel="bonds (%)")
    right.set(xlabel="error of angles (°)", ylabel="angles (%)")
    left.legend()
    return figure


def conformers(found: ByCandidate) -> "Figure":
    """Differences of conformers against accepted ones."""
    figure = _figure(1, height=4.0)
    axes = figure.subplots()
    most = 1.0
    for name, records in found.items():
        some = list(good(records).values())
        true = [r["label"] for r in some]
        axes.plot(true, [r["energy"] for r in some], "o", ms=4, label=name)
        most = max([most, *true])
    axes.plot([0.0, most], [0.0, most], "k--", lw=0.8)
    # One wild pair shall not hide the others.
    axes.set_ylim(-3.0, most + 4.0)
    axes.set(xlabel="accepted (kcal/mol)", ylabel="found (kcal/mol)")
    axes.legend()
    return figure


def assembly(found: ByCandidate) -> "Figure":
    """Molecules as they were broken and as they ended, the worst and the best."""
    figure = _figure(2, height=2.4 * len(found))
    grid = figure.subplots(len(found), 2 * _SHOWN, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for row, (name, records) in zip(grid, found.items(), strict=True):
        some = [(k, r) for k, r in good(records).items() if "left out" not in r]
        some.sort(key=lambda item: -item[1]["rmsd"])
        half = _SHOWN // 2
        chosen = some[:half] + some[-half:] if len(some) > _SHOWN else some
        for k, (key, record) in enumerate(chosen):
            numbers = record["numbers"]
            _draw(row[2 * k], Atoms(numbers, record["before"]), key.replace(", ", "\n"))
            ended = "assembled" if record["success"] else f"RMSD {record['rmsd']:.2f} Å"
            _draw(row[2 * k + 1], Atoms(numbers, record["after"]), ended)
        row[0].text(
            -0.1, 0.5, name, transform=row[0].transAxes, rotation=90, va="center"
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


def reaction(found: ByCandidate) -> "Figure":
    """Barriers and reaction energies against those they are held to."""
    figure = _figure(2)
    for axes, key in zip(figure.subplots(1, 2), ("barrier", "energy"), strict=True):
        ends = []
        for name, records in found.items():
            some = list(good(records).values())
            if not some:
                continue
            true = [r[f"{key}_label"] for r in some]
            axes.plot(true, [r[key] for r in some], ".", ms=4, label=name)
            ends += [min(true), max(true)]
        if ends:
            axes.plot([min(ends), max(ends)], [min(ends), max(ends)], "k--", lw=0.8)
            # One wild barrier shall not hide the others.
            axes.set_ylim(min(ends) - 1.5, max(ends) + 1.5)
            axes.legend()
        what = "barrier" if key == "barrier" else "reaction energy"
        axes.set(xlabel=f"{what}, reference (eV)", ylabel=f"{what} (eV)")
    return figure


def masked(found: ByCandidate) -> "Figure":
    """Likelihood of each element along the way of a hidden atom."""
    shown = {n: list(good(r).items())[:3] for n, r in found.items() if good(r)}
    figure = _figure(3, height=2.8 * max(1, len(shown)))
    grid = figure.subplots(max(1, len(shown)), 3, squeeze=False)
    for row, (name, records) in zip(grid, shown.items(), strict=False):
        for axes, (key, record) in zip(row, records, strict=False):
            for symbol, curve in record["curves"].items():
                axes.plot(record["along"], curve, label=symbol)
            axes.set(title=f"{name}: {record['element']} of {key}", xlabel="z (Å)")
        row[0].set_ylabel("likelihood")
        row[0].legend(fontsize=7)
    return figure


def smoothness(found: ByCandidate) -> "Figure":
    """Energy along every scan, one panel each, all candidates in it."""
    scans: dict[str, dict[str, Any]] = {}
    for name, records in found.items():
        for key, record in good(records).items():
            if record["kind"] == "scan":
                scans.setdefault(key, {})[name] = record
    rows = max(1, -(-len(scans) // 4))
    figure = _figure(4, height=2.4 * rows)
    grid = figure.subplots(rows, 4, squeeze=False)
    for axes in grid.flat[len(scans) :]:
        axes.axis("off")
    for axes, (key, curves) in zip(grid.flat, scans.items(), strict=False):
        for name, record in curves.items():
            energies = np.array(record["energies"])
            axes.plot(record["shifts"], energies - energies[-1], label=name)
        axes.set_ylim(-12.0, 8.0)
        if "H2O" in key:
            axes.set_ylim(-0.5, 0.5)
        axes.set_title(key, fontsize=8)
        axes.tick_params(labelsize=7)
    grid[0][0].legend(fontsize=6)
    grid[-1][0].set(xlabel="shift (Å)", ylabel="energy above the end (eV)")
    return figure


def vibrations(found: ByCandidate) -> "Figure":
    """Errors of harmonic wave numbers."""
    figure = _figure(1, height=4.0)
    axes = figure.subplots()
    for name, records in found.items():
        some = list(good(records).values())
        true, shown = (
            np.concatenate([r[key] for r in some] or [np.zeros(0)])
            for key in ("label", "found")
        )
        axes.plot(true, shown - true, "o", ms=4, label=name)
    axes.axhline(0.0, color="black", lw=0.8, ls="--")
    axes.set(xlabel="wave number, measured (cm⁻¹)", ylabel="error (cm⁻¹)")
    axes.legend()
    return figure


def extensivity(found: ByCandidate) -> "Figure":
    """What is left of the energy of two molecules, against their distance."""
    figure = _figure(1, height=4.0)
    axes = figure.subplots()
    for name, records in found.items():
        some = list(good(records).values())
        if some:
            left = 1000.0 * np.abs([r["left"] for r in some]).max(axis=0)
            axes.semilogy(some[0]["apart"], np.maximum(left, 1e-3), "o-", label=name)
    axes.set(xlabel="apart (Å)", ylabel="largest |ΔE| (meV)")
    axes.legend()
    return figure


DRAWN = {
    "vibrations": vibrations,
    "extensivity": extensivity,
    "structure": structure,
    "textbook": textbook,
    "conformers": conformers,
    "assembly": assembly,
    "reaction": reaction,
    "masked": masked,
    "smoothness": smoothness,
}


def picture(suite: str, found: ByCandidate) -> str:
    """Source of an ``<img>``: nothing is fetched when the page is read.

    Args:
        suite: Name of a suite, a key of `DRAWN`.
        found: Records of its cases, by candidate.
    """
    buffer = io.BytesIO()
    # Names are names: a dollar in them, as of SMILES, begins no formula.
    with _plain_texts():
        DRAWN[suite](found).savefig(buffer, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _plain_texts() -> AbstractContextManager[Any]:
    try:
        from matplotlib import rc_context
    except ImportError:
        return nullcontext()  # `_figure` will say so
    return rc_context({"text.parse_math": False})


def _figure(columns: int, height: float = 3.4) -> "Figure":
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PhysMLError(
            "the report needs the extra: pip install 'ase-physml[plot]'"
        ) from error
    return Figure(figsize=(10.0 if columns > 1 else 5.0, height), layout="constrained")
