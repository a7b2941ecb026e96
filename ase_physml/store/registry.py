"""Names of the shipped potentials, and the files behind them.

``registry.yaml`` lists each shipped file with its SHA-256, what it is for, and what
not. A bare name means a shipped potential first; anything else is a path.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from ase_physml.errors import PotentialError
from ase_physml.jobs.file_hash import sha256

_PACKED = Path(__file__).parent / "files"
_CHECKOUT = Path(__file__).parents[2] / "potentials"


def folder() -> Path:
    """Folder of the shipped files: in the package, or in a checkout beside it."""
    return _PACKED if _PACKED.is_dir() else _CHECKOUT


@lru_cache
def entries() -> dict[str, dict[str, Any]]:
    """File name to its entry in the registry."""
    path = folder() / "registry.yaml"
    if not path.exists():
        return {}
    return (yaml.safe_load(path.read_text()) or {}).get("potentials") or {}


def resolve(name: str | Path) -> Path:
    """File of a potential.

    Args:
        name: Shipped name, with or without ``.pt`` ("qm9.pt", "qm9"), or a path. To use
            a local file that is named like a shipped one, write ``./qm9.pt``.

    Raises:
        PotentialError: No such name or file, a folder, or a shipped file that is not
            the one that was published.
    """
    text = str(name)
    path = shipped(text) or Path(text).expanduser()
    if not path.exists():
        known = ", ".join(sorted(entries())) or "none"
        raise PotentialError(
            f"{text}: neither a file nor a shipped potential; shipped: {known}"
        )
    if path.is_dir():
        raise PotentialError(f"{path}: is a directory, not a potential file")
    return path


def shipped(name: str) -> Path | None:
    """File of a shipped potential, verified; None if there is none of this name."""
    file = name if name.endswith(".pt") else f"{name}.pt"
    if file not in entries():
        return None
    path = folder() / file
    _verify(path, entries()[file]["sha256"])
    return path


@lru_cache
def _verify(path: Path, expected: str) -> None:
    if not path.exists():
        raise PotentialError(f"{path}: shipped with the package but missing; reinstall")
    found = sha256(path)
    if found != expected:
        raise PotentialError(
            f"{path}: SHA-256 is {found[:12]}..., the registry says {expected[:12]}; "
            "the file was changed, reinstall the package"
        )


def not_for(path: Path) -> list[str]:
    """Uses that a shipped file, or a copy of one, is not fit for.

    Files say so in their cards; the registry says it of those that were made before
    cards had a place for it.
    """
    return list(_entry(path).get("not_for", ()))


def measured(path: Path) -> str:
    """Errors of a shipped file beside those of plain models, "" where none are known.

    One line for people, of test molecules that none of the models had seen.
    """
    return str(_entry(path).get("measured", ""))


def _entry(path: Path) -> dict[str, Any]:
    """Entry of a shipped file, or of a copy of one; empty of others."""
    found = sha256(path)
    ours = (entry for entry in entries().values() if entry["sha256"] == found)
    return next(ours, {})


def register(path: Path, summary: str) -> None:
    """Enter a potential in the registry beside it, with its hash.

    Args:
        path: Potential file in the folder of shipped ones.
        summary: One line for people.
    """
    registry = path.parent / "registry.yaml"
    content = yaml.safe_load(registry.read_text()) if registry.exists() else None
    content = content or {"potentials": {}}
    entry = content["potentials"].setdefault(path.name, {})
    entry.update(sha256=sha256(path), summary=summary)
    registry.write_text(yaml.safe_dump(content, sort_keys=True))
