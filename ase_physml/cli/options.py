"""Options that verbs share: of one name, one meaning and one text in all of them.

A verb says which it takes, and its default; a test compares them.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Optimizer(StrEnum):
    """Optimizers of ASE."""

    BFGS = "BFGS"
    LBFGS = "LBFGS"
    FIRE = "FIRE"


class Dtype(StrEnum):
    """Floating point types of a calculation."""

    float64 = "float64"
    float32 = "float32"


class Start(StrEnum):
    """Interpolations between the ends of a path."""

    idpp = "idpp"
    geodesic = "geodesic"


# What goes in.

Structures = Annotated[
    list[str],
    typer.Argument(
        help="SMILES, files or tables of them, or files of structures (all frames)."
    ),
]
Molecules = Annotated[
    list[str],
    typer.Argument(help="SMILES, tables of them, or files of lines `SMILES name`."),
]
SmilesColumn = Annotated[
    str | None,
    typer.Option(
        help='Of a table; if not said, the one called "smiles" or "*_smiles".'
    ),
]
MaxAtoms = Annotated[
    int | None,
    typer.Option(min=1, help="Without hydrogens, that a SMILES may have [200]."),
]
Seed = Annotated[
    int,
    typer.Option(min=0, help="Of what is drawn: starts of SMILES, embeddings, splits."),
]

Limit = Annotated[
    int | None,
    typer.Option(min=1, help="Of a set: only the first so many frames or reactions."),
]

# What computes.

_MODEL = typer.Option(
    "--model",
    help="Potential: shipped (physml list says what for) or a path; or any calculator: "
    "tblite:GFN2-xTB, emt, module:factory.",
)
Model = Annotated[str, _MODEL]
AnyModel = Annotated[str | None, _MODEL]
Conformations = Annotated[
    str,
    typer.Option(
        "--conformations", help="Model of conformations: shipped name or path."
    ),
]
Device = Annotated[str, typer.Option(help="Of a potential: auto, cpu or cuda.")]
FloatType = Annotated[Dtype, typer.Option(help="Precision of a potential.")]
AnyDomain = Annotated[
    bool, typer.Option(help="Even with a potential that has seen minima only.")
]

# How far.

Fmax = Annotated[float, typer.Option(help="Largest force left, eV/Å.")]
Steps = Annotated[int, typer.Option(min=0, help="Of the optimizer, at most.")]
OptimizerName = Annotated[Optimizer, typer.Option(case_sensitive=False, help="Of ASE.")]
Images = Annotated[int, typer.Option(min=3, help="Of a path, with ends.")]
Climb = Annotated[bool, typer.Option(help="Let the highest image climb.")]
Match = Annotated[
    bool,
    typer.Option(help="Reorder atoms of the product, a structure, to those near."),
]

StartName = Annotated[
    Start,
    typer.Option("--start", help="Interpolation; geodesic needs its extra."),
]
Saddles = Annotated[bool, typer.Option(help="Go on to the saddle, and certify it.")]
ZeroPoint = Annotated[
    bool, typer.Option("--zpe", help="Zero-point energies of saddles and minima.")
]

# Names that options had before, out of sight.

FormerModel = Annotated[str | None, typer.Option("--model", hidden=True)]
FormerCalculator = Annotated[str | None, typer.Option("--calculator", hidden=True)]
FormerProcesses = Annotated[int | None, typer.Option("--processes", min=1, hidden=True)]

# Where.

Jobs = Annotated[
    int,
    typer.Option(
        min=1,
        help="Processes of this machine, one thread each. Relaxations, paths and "
        "vibrations by a potential need none: they are computed in batches.",
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="Work on Dask: address or file of a scheduler, or local:N processes.",
    ),
]

# What comes out.

Folder = Annotated[Path, typer.Option("--out", "-o", help="Folder of results.")]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Do anew, and replace, what OUT has already."),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Keep what OUT has of the same inputs, settings and potential; what an "
        "interrupted run left is kept anyway.",
    ),
]
Uncertain = Annotated[
    Path | None,
    typer.Option(help="HDF5 set of what a committee is uncertain about."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print as JSON, for scripts to read.")
]
