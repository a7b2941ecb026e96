"""Pages of the site that are made of other files, when MkDocs builds it.

The README is its home, cards of models and the READMEs of training and benchmarks are
pages, notebooks are pages as they were executed, and tables between marks are filled in
as in the README.
"""

import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))

from commands import commands
from figures import ROOT
from marked_tables import renewed
from notebooks import NAMES, page_of
from relink import PAGES, relinked, repository

# The home page has no others beside it.
_ALONE = "---\nhide: [navigation]\n---\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made, and the pictures that they show."""
    for source, target in PAGES.items():
        original = (ROOT / source).read_text("utf-8")
        text, pictures = relinked(original, source, target)
        if target == "index.md":
            text = _ALONE + text
        files.append(File.generated(config, target, content=text))
        for uri, path in pictures.items():
            files.append(File.generated(config, uri, abs_src_path=str(path)))
    files.append(File.generated(config, "commands.md", content=commands()))
    for name in NAMES:
        address = f"{repository()}/blob/main/examples/notebooks/{name}.ipynb"
        page = page_of(ROOT / "docs" / "made" / f"{name}.ipynb", address)
        uri = f"notebooks/{name}.md"
        files.append(File.generated(config, uri, content=page.text))
        for picture, content in page.pictures.items():
            files.append(
                File.generated(config, f"notebooks/{picture}", content=content)
            )
    return files


def on_page_markdown(
    markdown: str, page: Any, config: MkDocsConfig, files: Files
) -> str:
    """Fill in the tables between marks."""
    del config, files
    depth = page.file.src_uri.count("/")
    return renewed(markdown, "../" * depth + "models/{}.md")
