"""Plots of relaxations, of reaction paths and of spectra."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase.utils.forcecurve import fit_images

from ase_physml.errors import PhysMLError
from ase_physml.jobs.disk import atomic_write
from ase_physml.workflows.paths.reaction_path import ReactionPath
from ase_physml.workflows.relax import Relaxed
from ase_physml.workflows.vibrations.normal_modes import Vibrations

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_relaxation(result: Relaxed, out: Path, fmax: float) -> None:
    """Energy and largest force against the step, as a PNG.

    Args:
        result: Relaxed structure, of `relax`.
        out: File to write, replaced if it exists.
        fmax: Threshold that the relaxation aimed at, eV/Å.

    Raises:
        PhysMLError: matplotlib is missing.
    """
    figure = new_figure()
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
    save_figure(figure, out, f"{result.energies[-1]:.4f} eV")


def plot_path(path: ReactionPath, out: Path, fmax: float) -> None:
    """Energy along a path and its largest force at each step, as a PNG.

    The curve between images has their forces for slopes, as ASE draws it.

    Args:
        path: Reaction path, of `find_paths`.
        out: File to write, replaced if it exists.
        fmax: Threshold that the search aimed at, eV/Å.

    Raises:
        PhysMLError: matplotlib is missing.
    """
    figure = new_figure()
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
    save_figure(figure, out, f"reaction energy {path.reaction_energy:+.3f} eV{verdict}")


def plot_spectrum(vibrations: Vibrations, out: Path, width: float = 20.0) -> None:
    """Infrared spectrum of a structure, or its density of modes, as a PNG.

    Args:
        vibrations: Vibrations of one structure.
        out: File to write, replaced if it exists.
        width: Width of a line at half its height, cm-1.

    Raises:
        PhysMLError: matplotlib is missing.
    """
    figure = new_figure()
    axes = figure.subplots()
    found, heights = vibrations.frequencies, vibrations.intensities
    about = "IR intensity (km/mol)"
    if heights is None:
        heights, about = np.ones(len(found)), "modes (no dipoles, no intensities)"
    real = found > 0.0
    grid = np.linspace(0.0, 1.05 * max(found.max(initial=0.0), 1000.0), 2000)
    lines = 1.0 / (1.0 + ((grid[:, None] - found[real]) / (0.5 * width)) ** 2)
    axes.plot(grid, lines @ heights[real], color="tab:blue", lw=1)
    axes.vlines(found[real], 0.0, heights[real], color="tab:red", lw=0.8)
    axes.invert_xaxis()
    axes.set(xlabel="wavenumber (cm⁻¹)", ylabel=about)
    wrong = len(vibrations.imaginary)
    said = f"{len(found)} modes" + (f", {wrong} of them imaginary" if wrong else "")
    save_figure(figure, out, said)


def new_figure() -> "Figure":
    """A figure, wide enough for two panels.

    Raises:
        PhysMLError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PhysMLError(
            "plots need the extra: pip install 'ase-physml[plot]'"
        ) from error
    # A bare Figure: pyplot would keep it, and settle the backend of the whole process.
    return Figure(figsize=(9, 3.6), layout="constrained")


def save_figure(figure: "Figure", out: Path, about: str) -> None:
    """Write a figure as a PNG, titled with the name of the file and a remark."""
    # "$" is a bond order in SMILES and would start a formula here.
    figure.suptitle(out.stem.replace("$", r"\$") + f": {about}")
    with atomic_write(out) as partial:
        figure.savefig(partial, dpi=120, format="png")
