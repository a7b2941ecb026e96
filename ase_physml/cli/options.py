"""Options that several verbs share: one name, one meaning, one text each."""

from typing import Annotated

import typer

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
AsJson = Annotated[
    bool, typer.Option("--json", help="Print as JSON, for scripts to read.")
]
