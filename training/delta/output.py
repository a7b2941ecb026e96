"""Command line and output that the scripts here share: JSON, shown and written."""

import json
from argparse import ArgumentParser
from pathlib import Path


def command(doc: str) -> ArgumentParser:
    """Parser of a script: described by its first line, with a file of results."""
    parser = ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser


def show(found: object, out: Path | None, indent: int = 1) -> None:
    """Print results, and write them where a file is given."""
    text = json.dumps(found, indent=indent)
    print(text)
    if out is not None:
        out.write_text(text + "\n")
