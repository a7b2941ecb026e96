"""`physml train`: run a recipe."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import datetime as dt


def train(
    recipe: Annotated[Path, typer.Argument(help="YAML recipe.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key=value, for example model.width=64.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder; runs/NAME if absent.")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(help="Checkpoint, or 'last': of --out, if there is one."),
    ] = None,
    max_time: Annotated[
        str | None, typer.Option(help="Stop, to be resumed, after DD:HH:MM:SS.")
    ] = None,
    devices: Annotated[int, typer.Option(help="Processes, one per GPU.")] = 1,
    strategy: Annotated[str, typer.Option(help="Lightning strategy.")] = "auto",
    accelerator: Annotated[str, typer.Option(help="cpu, gpu or auto.")] = "auto",
) -> None:
    """Train or fine-tune a potential, PhysChem or HamNet by a recipe."""
    import logging
    import os
    import sys

    from ase_physml.errors import PhysMLError, RecipeError

    try:
        import lightning  # noqa: F401
    except ImportError as error:
        raise PhysMLError(
            "training needs the extra: pip install 'ase-physml[train]'"
        ) from error
    from ase_physml.training.loop import Run
    from ase_physml.training.start import fit, load

    # Devices it did not find, and advertisements.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    loaded = load(recipe, overrides or [])
    folder = out or Path("runs") / loaded.name
    checkpoint = None
    if resume == "last":
        newest = folder / "checkpoints" / "last.ckpt"
        checkpoint = newest if newest.exists() else None
    elif resume is not None:
        checkpoint = Path(resume)
    elif (folder / "checkpoints").exists() and "LOCAL_RANK" not in os.environ:
        raise RecipeError(
            f"{folder} holds a run already: add --resume last to go on with it, or "
            "choose another --out"
        )
    run = Run(
        folder,
        resume=checkpoint,
        max_time=_duration(max_time),
        devices=devices,
        strategy=strategy,
        accelerator=accelerator,
        progress=sys.stdout.isatty(),
    )
    print(f"result: {fit(loaded, recipe, run)}")
    print(f"curves: {folder / 'curves.png'}")


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
