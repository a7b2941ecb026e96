"""`physml committee`: potentials joined, their spread calibrated."""

from pathlib import Path
from typing import Annotated

import typer


def committee(
    members: Annotated[list[str], typer.Argument(help="Potentials trained apart.")],
    data: Annotated[Path, typer.Option(help="HDF5 set with energies and forces.")],
    out: Annotated[Path, typer.Option(help="Potential to write.")],
    split: Annotated[
        Path | None, typer.Option(help="Calibrate on its validation part only.")
    ] = None,
    frames: Annotated[
        int, typer.Option(min=1, help="So many, drawn at random.")
    ] = 2000,
) -> None:
    """Join potentials to a committee that says how far it can be trusted.

    The spread of the members is scaled to their error on held-out frames; structures
    of more spread than nearly all of these are reported by `relax` and `neb`.
    """
    import numpy as np

    from ase_physml.data.ragged import RaggedSet
    from ase_physml.data.splits import Split
    from ase_physml.potentials.registry import resolve
    from ase_physml.tasks.committee import make_committee

    opened = RaggedSet(data)
    pool = np.arange(len(opened)) if split is None else Split.load(split).val
    count = min(frames, len(pool))
    drawn = np.random.default_rng(0).choice(pool, count, replace=False)
    # Absolute: "./qm9.pt" must not become the shipped one further down.
    files = [resolve(member).absolute() for member in members]
    found = make_committee(files, out, opened, sorted(drawn.tolist()))
    typer.echo(
        f"{out}: {len(members)} potentials\n"
        f"error / spread of the members: {found['energy_scale']:.2f} (energy), "
        f"{found['forces_scale']:.2f} (forces)\n"
        f"their rank correlation: {found['rank_correlation_energy']:.2f} (energy), "
        f"{found['rank_correlation_forces']:.2f} (forces)\n"
        f"forces count as uncertain above {found['threshold_eV_per_A']:.3f} eV/Å"
    )
