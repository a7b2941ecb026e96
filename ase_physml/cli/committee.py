"""`physml committee`: potentials joined, their spread calibrated."""

from pathlib import Path
from typing import Annotated

import typer

from ase_physml.cli.options import Overwrite
from ase_physml.cli.outputs import check_file


def committee(
    members: Annotated[list[str], typer.Argument(help="Potentials trained apart.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Potential, or model, to write.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="HDF5 set with energies and forces, or of properties."),
    ] = None,
    split: Annotated[
        Path | None, typer.Option(help="Calibrate on its validation part only.")
    ] = None,
    frames: Annotated[
        int, typer.Option(min=1, help="So many, drawn at random.")
    ] = 2000,
    overwrite: Overwrite = False,
) -> None:
    """Join potentials to a committee that says how far it can be trusted.

    The spread of the members is scaled to their error on held-out frames; structures
    of more spread than nearly all of these are reported by `relax` and `neb`.

    Models of properties are joined too; their spread, which `predict` writes, is scaled
    if there are --data.
    """
    from ase_physml.store.checkpoint import input_of
    from ase_physml.store.registry import resolve

    check_file(out, overwrite=overwrite)
    # Absolute: "./qm9.pt" must not become the shipped one further down.
    files = [resolve(member).absolute() for member in members]
    if input_of(files[0]) == "bonds":
        _join_models(files, out, data, split)
        return
    if data is None:
        raise typer.BadParameter("potentials need --data, to scale their spread")
    _join_potentials(files, out, data, split, frames)


def _join_models(
    files: list[Path], out: Path, data: Path | None, split: Path | None
) -> None:
    from ase_physml.data.index_split import Split
    from ase_physml.training.molecular_evaluation import calibrate, join_models

    join_models(files, out)
    typer.echo(f"{out}: {len(files)} models")
    if data is not None:
        indices = None if split is None else Split.load(split).val
        found = calibrate(out, data, indices)
        typer.echo(
            f"error / spread of the members: {found['scale']:.2f}, their rank "
            f"correlation: {found['rank_correlation']:.2f}"
        )


def _join_potentials(
    files: list[Path], out: Path, data: Path, split: Path | None, frames: int
) -> None:
    import numpy as np

    from ase_physml.data.dataset import RaggedSet
    from ase_physml.data.index_split import Split
    from ase_physml.workflows.uncertainty import make_committee

    opened = RaggedSet(data)
    pool = np.arange(len(opened)) if split is None else Split.load(split).val
    count = min(frames, len(pool))
    drawn = np.random.default_rng(0).choice(pool, count, replace=False)
    found = make_committee(files, out, opened, sorted(drawn.tolist()))
    typer.echo(
        f"{out}: {len(files)} potentials\n"
        f"error / spread of the members: {found['energy_scale']:.2f} (energy), "
        f"{found['forces_scale']:.2f} (forces)\n"
        f"their rank correlation: {found['rank_correlation_energy']:.2f} (energy), "
        f"{found['rank_correlation_forces']:.2f} (forces)\n"
        f"forces count as uncertain above {found['threshold_eV_per_A']:.3f} eV/Å"
    )
