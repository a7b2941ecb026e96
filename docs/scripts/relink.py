"""Links of files that become pages of the site."""

import posixpath
import re
from pathlib import Path

from figures import ROOT

_LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)]*)?(\))")
_CARDS = sorted((ROOT / "potentials").glob("*.md"))

# Files of the repository to pages of the site.
PAGES = {
    "README.md": "index.md",
    "training/README.md": "figures.md",
    "benchmarks/README.md": "benchmarks.md",
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "CODE_OF_CONDUCT.md": "conduct.md",
    **{f"potentials/{card.name}": f"models/{card.name}" for card in _CARDS},
}
_PICTURES = (".png", ".svg")


def relinked(text: str, source: str, page: str) -> tuple[str, dict[str, Path]]:
    """A file's text with links as its page needs them, and pictures that it shows."""
    pictures: dict[str, Path] = {}
    here = posixpath.dirname(page)

    def change(found: re.Match[str]) -> str:
        target, anchor = found[2], found[3] or ""
        if ":" in target:
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if path in PAGES:
            uri = PAGES[path]
        elif path.startswith("docs/"):
            uri = path.removeprefix("docs/")
        elif path.endswith(_PICTURES):
            uri = f"pictures/{path.replace('/', '_')}"
            pictures[uri] = ROOT / path
        else:
            kind = "tree" if (ROOT / path).is_dir() else "blob"
            return f"{found[1]}{repository()}/{kind}/main/{path}{anchor}{found[4]}"
        return found[1] + posixpath.relpath(uri, here or ".") + anchor + found[4]

    return _LINK.sub(change, text), pictures


def repository() -> str:
    """Address of the repository, as the package states it."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    (found,) = re.findall(r'^Repository = "(.+)"$', text, re.M)
    return str(found)
