"""Rooms import downward only."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "ase_physml"

GRAPH = {"errors", "graph", "bonded_graph", "neighbours", "segment", "torch_state"}
MODELS = GRAPH | {"models", "typed"}
STORE = MODELS | {"store", "jobs"}
NATIVE = MODELS | {"native"}
POTENTIALS = STORE | NATIVE | {"potential", "predictor"}
CALCULATORS = POTENTIALS | {"calculators", "charges", "data", "chem"}
WORKFLOWS = CALCULATORS | {"workflows"}
ENGINES = CALCULATORS | {"engines"}
EVALUATION = WORKFLOWS | {"evaluation"}
# Room to the rooms it may import; a room that is not here fails the test.
ALLOWED = {
    "errors": {"errors"},
    "moved": {"moved"},
    "typed": {"errors", "typed"},
    "charges": {"errors", "charges"},
    "segment": {"errors", "segment"},
    "torch_state": {"torch_state"},
    "neighbours": {"errors", "neighbours", "segment"},
    "graph": GRAPH,
    "bonded_graph": {"errors", "bonded_graph", "segment"},
    "jobs": {"errors", "jobs"},
    "chem": {"errors", "data", "jobs", "bonded_graph", "chem", "segment"},
    "models": MODELS,
    "store": STORE,
    "native": NATIVE,
    "potential": STORE | NATIVE | {"potential"},
    "predictor": STORE | {"predictor"},
    "calculators": CALCULATORS,
    "engines": ENGINES,
    "workflows": WORKFLOWS,
    "evaluation": EVALUATION,
    "data": {"errors", "charges", "data", "jobs"},
    "training": POTENTIALS | {"data", "chem", "training"},
    "cli": EVALUATION | {"training", "cli"},
}
# What the models know nothing of.
FOREIGN = {"ase", "lightning", "h5py"}
FILES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names of everything that a file imports, in functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_downward(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    names = [name.split(".") for name in imported(ast.parse(path.read_text("utf-8")))]
    rooms = {name[1] for name in names if name[0] == "ase_physml"} - {"__version__"}
    assert rooms <= ALLOWED[room]
    if room in {"models", "graph", "bonded_graph", "neighbours", "segment"}:
        assert not {name[0] for name in names} & FOREIGN


def test_every_room_is_here() -> None:
    found = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES}
    assert {"errors", "graph", "models", "calculators", "workflows", "cli"} <= found
    assert found <= ALLOWED.keys()
