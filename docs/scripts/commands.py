"""Reference of the command line, from the commands themselves."""

from collections.abc import Iterator
from typing import Any

import typer

from ase_physml.cli import app

_HEAD = """# Commands

`physml VERB --help` says the same. An input that cannot be used gives one line on
stderr and exit code 2; where some of many inputs failed the others are done, and the
exit code is 1.

"""


def commands() -> str:
    """Page of all verbs and their options."""
    root = typer.main.get_command(app)
    return _HEAD + "\n".join(_section(name, one) for name, one in _leaves(root, ()))


def _leaves(command: Any, names: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(names), command
        return
    for name, one in inner.items():
        if not one.hidden:
            yield from _leaves(one, (*names, name))


def _section(name: str, command: Any) -> str:
    lines = [f"## physml {name}", "", command.help or "", ""]
    lines += ["| option | | default |", "| --- | --- | --- |"]
    for parameter in command.params:
        if not getattr(parameter, "hidden", False):
            lines.append(_row(parameter))
    return "\n".join([*lines, ""])


def _row(parameter: Any) -> str:
    names = [*parameter.opts, *parameter.secondary_opts]
    if parameter.param_type_name == "argument":
        names = [str(parameter.name).upper()]
    said = getattr(parameter, "help", None) or ""
    default = parameter.default
    nothing = default is None or default is False or callable(default)
    shown = "" if nothing else f"`{default}`"
    if parameter.required:
        shown = "required"
    cells = (" ".join(f"`{name}`" for name in names), said.replace("|", "\\|"), shown)
    return f"| {' | '.join(cells)} |"
