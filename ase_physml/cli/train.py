"""`physml train`: run a recipe."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ase_physml.cli.outputs import check_folder

if TYPE_CHECKING:
    import datetime as dt

    from ase_physml.training.stopping import TrainingStopped


def train(
    recipe: Annotated[Path, typer.Argument(help="YAML recipe.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key=value, for example model.width=64.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of results; runs/NAME if absent."),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(help="Checkpoint, or 'last': of --out, if there is one."),
    ] = None,
    max_time: Annotated[
        str | None, typer.Option(help="Stop, to be resumed, after DD:HH:MM:SS.")
    ] = None,
    devices: Annotated[
        int, typer.Option(min=1, help="Processes on each node, one per GPU.")
    ] = 1,
    num_nodes: Annotated[
        int, typer.Option(min=1, help="Nodes, as under Slurm or torchrun.")
    ] = 1,
    strategy: Annotated[str, typer.Option(help="Lightning strategy.")] = "auto",
    accelerator: Annotated[str, typer.Option(help="cpu, gpu or auto.")] = "auto",
    in_memory: Annotated[
        float,
        typer.Option(
            min=0.0,
            help="Million atoms of a set that is kept in memory, 28 MB each; larger "
            "sets are read as training goes.",
        ),
    ] = 50.0,
) -> None:
    """Train or fine-tune a potential, PhysChem or HamNet by a recipe."""
    import logging
    import sys
    from functools import partial

    from ase_physml.errors import PhysMLError, RecipeError

    try:
        from lightning.pytorch.utilities import rank_zero_only
    except ImportError as error:
        raise PhysMLError(
            "training needs the extra: pip install 'ase-physml[train]'"
        ) from error
    from ase_physml.training.fit import Run, fit, load_recipe
    from ase_physml.training.stopping import TrainingStopped, stop_early

    # Devices it did not find, and advertisements.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    loaded = load_recipe(recipe, overrides or [])
    folder = out or Path("runs") / loaded.name
    check_folder(folder)
    checkpoint = None
    if resume == "last":
        newest = folder / "checkpoints" / "last.ckpt"
        checkpoint = newest if newest.exists() else None
    elif resume is not None:
        checkpoint = Path(resume)
    elif _holds_a_run(folder) and getattr(rank_zero_only, "rank", 0) == 0:
        raise RecipeError(
            f"{folder} holds a run already: add --resume last to go on with it, or "
            "choose another --out"
        )
    say = rank_zero_only(partial(print, flush=True))
    run = Run(
        folder,
        resume=checkpoint,
        max_time=_duration(max_time),
        devices=devices,
        nodes=num_nodes,
        in_memory=int(1e6 * in_memory),
        strategy=strategy,
        accelerator=accelerator,
        progress=sys.stdout.isatty(),
        say=say,
    )
    try:
        with stop_early():
            result = fit(loaded, recipe, run)
    except TrainingStopped as stopped:
        rank_zero_only(typer.echo)(_farewell(stopped, run.last), err=True)
        raise typer.Exit(128 + stopped.signal) from stopped
    say(f"result: {result}\ncurves: {folder / 'curves.png'}")


def _holds_a_run(folder: Path) -> bool:
    checkpoints = folder / "checkpoints"
    return checkpoints.is_dir() and any(checkpoints.iterdir())


def _farewell(stopped: "TrainingStopped", checkpoint: Path) -> str:
    """Words on what is kept of a run that a signal has ended, and how to go on."""
    import shlex
    import sys

    if stopped.steps is None:
        return f"{stopped} before the first step: nothing new is kept"
    command = ["physml", *sys.argv[1:]]
    if "--resume" not in command:
        command += ["--resume", "last"]
    return (
        f"{stopped} after {stopped.steps} steps, which {checkpoint} keeps; go on with: "
        f"{shlex.join(command)}"
    )


def _duration(text: str | None) -> "dt.timedelta | None":
    """DD:HH:MM:SS to a duration."""
    import datetime as dt

    from ase_physml.errors import RecipeError

    if text is None:
        return None
    try:
        days, hours, minutes, seconds = (int(part) for part in text.split(":"))
    except ValueError as error:
        raise RecipeError(f"--max-time {text!r} is not DD:HH:MM:SS") from error
    return dt.timedelta(days, seconds, 0, 0, minutes, hours)
