"""Notebooks as pages: executed by a kernel, then written as Markdown."""

import base64
import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from figures import ROOT

FOLDER = ROOT / "examples" / "notebooks"
NAMES = ("relax", "conformers", "reaction_path", "train", "properties", "trust")
_SECONDS = 600  # that a cell may take

_HEAD = """
[This notebook]({address}) was executed when the site was built.
"""


class Page(NamedTuple):
    """Markdown of a notebook, and its pictures by their names."""

    text: str
    pictures: dict[str, bytes]


def execute(name: str, made: Path) -> None:
    """Run all cells in a folder of its own, and keep the notebook with its outputs.

    Args:
        name: Name of the notebook.
        made: Folder that gets it.

    Raises:
        CellExecutionError: A cell raised; the message shows it.
    """
    # Only those who build the site need these.
    import nbclient
    import nbformat

    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        client = nbclient.NotebookClient(
            notebook,
            timeout=_SECONDS,
            startup_timeout=_SECONDS,
            kernel_name="python3",
            resources=resources,
        )
        client.execute()
    nbformat.write(notebook, made / f"{name}.ipynb")


def page_of(path: Path, address: str) -> Page:
    """Page of an executed notebook.

    Args:
        path: Notebook with its outputs.
        address: Where the notebook lies for readers.
    """
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        printed = "".join(map(_text, cell["outputs"]))
        if printed.strip():
            parts.append(f"```\n{printed.rstrip()}\n```")
        for output in cell["outputs"]:
            if png := output.get("data", {}).get("image/png"):
                name = f"{path.stem}_{len(pictures)}.png"
                pictures[name] = base64.b64decode("".join(png))
                parts.append(f"![{cell['metadata'].get('alt', '')}]({name})")
    # Below the title.
    first, *others = parts
    text = [first + "\n" + _HEAD.format(address=address), *others]
    return Page("\n\n".join(text) + "\n", pictures)


def _text(output: dict[str, Any]) -> str:
    """What an output of a cell says in words."""
    # Warnings of libraries are none of the reader's business.
    if output.get("name") == "stderr":
        return ""
    said = output.get("text") or output.get("data", {}).get("text/plain", "")
    return "" if "image/png" in output.get("data", {}) else "".join(said) + "\n"
