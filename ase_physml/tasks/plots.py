"""Plots of what a task did."""

from pathlib import Path

import numpy as np

from ase_physml.errors import PhysMLError
from ase_physml.tasks.relaxation import Relaxed


def plot_relaxation(result: Relaxed, out: Path, fmax: float) -> None:
    """Energy and largest force against the step, as a PNG.

    Args:
        result: Of `relax`.
        out: File to write, replaced if it exists.
        fmax: Threshold that the relaxation aimed at, eV/Å.

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
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    above = 1000.0 * (np.array(result.energies) - result.energies[-1])
    left.plot(above, ".-")
    left.set(xlabel="step", ylabel="energy above the last (meV)")
    # Atoms held by symmetry or constraints have no force, which no log scale shows.
    right.semilogy(np.maximum(result.forces, 1e-8), ".-", color="tab:red")
    right.axhline(fmax, color="black", lw=0.8, ls="--", label=f"{fmax:g} eV/Å")
    right.set(xlabel="step", ylabel="largest force (eV/Å)")
    right.legend()
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
    # "$" is a bond order in SMILES and would start a formula here.
    title = out.stem.replace("$", r"\$")
    figure.suptitle(f"{title}: {result.energies[-1]:.4f} eV")
    partial = out.with_name(out.name + ".part")
    figure.savefig(partial, dpi=120, format="png")
    partial.replace(out)
