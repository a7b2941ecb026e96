"""Plots of what a task did."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase.utils.forcecurve import fit_images

from ase_physml.errors import PhysMLError
from ase_physml.jobs.disk import atomic_write
from ase_physml.workflows.neb import ReactionPath
from ase_physml.workflows.relaxation import Relaxed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ase_physml.workflows.calibration import Spread


def plot_relaxation(result: Relaxed, out: Path, fmax: float) -> None:
    """Energy and largest force against the step, as a PNG.

    Args:
        result: Of `relax`.
        out: File to write, replaced if it exists.
        fmax: Threshold that the relaxation aimed at, eV/Å.

    Raises:
        PhysMLError: matplotlib is missing.
    """
    figure = _figure()
    left, right = figure.subplots(1, 2)
    above = 1000.0 * (np.array(result.energies) - result.energies[-1])
    left.plot(above, ".-")
    left.set(xlabel="step", ylabel="energy above the last (meV)")
    # Atoms held by symmetry or constraints have no force, which no log scale shows.
    right.semilogy(np.maximum(result.fmax_history, 1e-8), ".-", color="tab:red")
    right.axhline(fmax, color="black", lw=0.8, ls="--", label=f"{fmax:g} eV/Å")
    right.set(xlabel="step", ylabel="largest force (eV/Å)")
    right.legend()
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
    _save(figure, out, f"{result.energies[-1]:.4f} eV")


def plot_path(path: ReactionPath, out: Path, fmax: float) -> None:
    """Energy along a path and its largest force at each step, as a PNG.

    The curve between images has their forces for slopes, as ASE draws it.

    Args:
        path: Of `find_paths`.
        out: File to write, replaced if it exists.
        fmax: Threshold that the search aimed at, eV/Å.

    Raises:
        PhysMLError: matplotlib is missing.
    """
    figure = _figure()
    left, right = figure.subplots(1, 2)
    fit = fit_images(path.images)
    left.plot(fit.fit_path, fit.fit_energies, color="tab:blue", lw=1)
    left.plot(fit.path, fit.energies, "o", color="tab:blue")
    left.annotate(
        f"{path.barrier:.3f} eV" if path.sound else "no barrier",
        (fit.path[path.saddle], fit.energies[path.saddle]),
        textcoords="offset points",
        xytext=(0, 6),
        ha="center",
    )
    left.margins(y=0.15)
    left.set(xlabel="path (Å)", ylabel="energy above the first image (eV)")
    right.semilogy(path.forces, color="tab:red")
    right.axhline(fmax, color="black", lw=0.8, ls="--", label=f"{fmax:g} eV/Å")
    right.set(xlabel="step", ylabel="largest force on the band (eV/Å)")
    right.legend()
    verdict = "" if path.sound else f"\n{path.verdict}"
    _save(figure, out, f"reaction energy {path.reaction_energy:+.3f} eV{verdict}")


def plot_spread(spread: "Spread", out: Path) -> None:
    """Errors of forces against what a committee expects of them, as a PNG.

    Left every atom; right means over atoms of equal spread: those of a calibrated
    committee lie on the diagonal.

    Args:
        spread: Of `measure_spread`.
        out: File to write, replaced if it exists.

    Raises:
        PhysMLError: matplotlib is missing.
    """
    figure = _figure()
    left, right = figure.subplots(1, 2)
    std, errors = spread.force_std, spread.force_errors
    left.loglog(std, errors, ".", ms=2, alpha=0.3, rasterized=True)
    order = np.array_split(np.argsort(std), 20)
    expected = [np.sqrt(np.mean(std[some] ** 2)) for some in order]
    found = [np.sqrt(np.mean(errors[some] ** 2)) for some in order]
    right.loglog(expected, found, "o-")
    for axes in (left, right):
        low, high = float(std.min()), float(std.max())
        axes.plot([low, high], [low, high], color="black", lw=0.8, ls="--")
        axes.set(xlabel="spread of the force on an atom (eV/Å)")
    left.set(ylabel="error of the force (eV/Å)")
    right.set(ylabel="its root mean square (eV/Å)")
    rank = spread.uncertainty()["rank_correlation_forces"]
    _save(figure, out, f"rank correlation {rank:.2f}")


def _figure() -> "Figure":
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PhysMLError(
            "plots need the extra: pip install 'ase-physml[plot]'"
        ) from error
    # A bare Figure: pyplot would keep it, and settle the backend of the whole process.
    return Figure(figsize=(9, 3.6), layout="constrained")


def _save(figure: "Figure", out: Path, about: str) -> None:
    # "$" is a bond order in SMILES and would start a formula here.
    figure.suptitle(out.stem.replace("$", r"\$") + f": {about}")
    with atomic_write(out) as partial:
        figure.savefig(partial, dpi=120, format="png")
