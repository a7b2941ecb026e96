"""Equal work has one identity, in any process; other work another, which is said."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.constraints import FixAtoms

from ase_physml.errors import DataError
from ase_physml.jobs.identity import Identity, canonical, digest


@dataclass(frozen=True)
class Options:
    fmax: float = 0.05
    names: tuple[str, ...] = ("a", "b")


class Kind(StrEnum):
    one = "one"


WATER = molecule("H2O")
EQUAL: list[tuple[Any, Any]] = [
    (1, 1.0),
    (0.0, -0.0),
    (1, np.int32(1)),
    (0.5, np.float64(0.5)),
    ((1, 2), [1, 2]),
    ("one", Kind.one),
    ("a/b", Path("a/b")),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({3, 1, 2}, {2, 1, 3}),
    (Options(), Options(0.05, ("a", "b"))),
    (float("nan"), float("nan")),
    (np.arange(3.0), np.arange(3.0, dtype=">f8")),
    (np.array([0.0, 1.0]), np.array([-0.0, 1.0])),
    (np.arange(6.0).reshape(2, 3).T, np.arange(6.0).reshape(2, 3).T.copy()),
    ({"called": "qm9", "sha256": "1"}, {"called": "./qm9.pt", "sha256": "1"}),
    (WATER, WATER.copy()),
    (["C" * 20] * 100, ["C" * 20] * 100),
]
OTHER: list[tuple[Any, Any]] = [
    (1, True),
    (0, None),
    (0, False),
    (1, "1"),
    (0.1, 0.1 + 1e-17 * 10),
    ([], {}),
    ([[1], 2], [1, [2]]),
    ({"a": 1}, {"a": 1, "b": None}),
    (Options(), Options(0.01)),
    (np.zeros(4), np.zeros((2, 2))),
    (np.zeros(2), np.zeros(2, dtype="f4")),
    (["C" * 20] * 100, ["C" * 20] * 99 + ["N" * 20]),
    ("x" * 5000, "x" * 4999 + "y"),
    ({"called": "qm9", "sha256": "1"}, {"called": "qm9", "sha256": "2"}),
]


@pytest.mark.parametrize(("one", "two"), EQUAL)
def test_equal_values(one: object, two: object) -> None:
    assert digest(one) == digest(two)
    assert (
        Identity.of("k", 1, v=one).difference(Identity.of("k", 1, v=two).values) == ""
    )


@pytest.mark.parametrize(("one", "two"), OTHER)
def test_other_values(one: object, two: object) -> None:
    assert digest(one) != digest(two)
    assert Identity.of("k", 1, v=one).difference(Identity.of("k", 1, v=two).values)


def moved(atoms: Atoms) -> None:
    atoms.positions[0, 0] += 1e-9


CHANGES: dict[str, Callable[[Atoms], object]] = {
    "elements": lambda a: a.set_atomic_numbers([7, 1, 1]),
    "positions": moved,
    "order": lambda a: a.set_positions(a.positions[[0, 2, 1]]),
    "cell": lambda a: a.set_cell([5, 5, 5]),
    "pbc": lambda a: a.set_pbc([True, False, False]),
    "constraints": lambda a: a.set_constraint(FixAtoms([0])),
    "charges": lambda a: a.set_initial_charges([1.0, 0.0, 0.0]),
    "moments": lambda a: a.set_initial_magnetic_moments([1.0, 0.0, 0.0]),
    "isotopes": lambda a: a.set_masses([18.0, 1.0, 1.0]),
    "charge": lambda a: a.info.update(charge=1),
}


@pytest.mark.parametrize("what", CHANGES)
def test_another_structure(what: str) -> None:
    atoms = WATER.copy()
    CHANGES[what](atoms)
    assert digest(atoms) != digest(WATER)


def test_names_of_structures_compute_nothing() -> None:
    atoms = WATER.copy()
    atoms.info["name"] = "water"
    assert digest(atoms) == digest(WATER)


def test_another_process_finds_the_same() -> None:
    # Sets and dicts of texts are in another order there, and objects elsewhere.
    code = (
        "import numpy as np\n"
        "from ase.build import molecule\n"
        "from ase_physml.jobs.identity import digest\n"
        "print(digest([{'b', 'a', 'c'}, molecule('H2O'), np.arange(4), 0.1]))"
    )
    value = [{"c", "b", "a"}, molecule("H2O"), np.arange(4), 0.1]
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == digest(value)


def test_what_has_no_identity() -> None:
    with pytest.raises(TypeError, match="object objects have no identity"):
        canonical({"a": object()})
    with pytest.raises(TypeError, match="a key must be text"):
        canonical({1: 2})


def test_a_difference_is_one_clear_line() -> None:
    def of(name: str, sha: str, fmax: float, atoms: Atoms) -> Identity:
        potential = {"called": name, "sha256": sha * 64, "dtype": "float64"}
        settings = {"fmax": fmax, "steps": 5}
        return Identity.of("relax", 1, start=atoms, potential=potential, how=settings)

    ether = molecule("CH3OCH3")
    before = of("qm9.pt", "a", 0.05, molecule("CH3CH2OH"))
    now = of("reactions.pt", "b", 0.01, ether)
    with pytest.raises(DataError) as caught:
        now.check(before.values, "out/m.traj", "add --overwrite to start over")
    said = str(caught.value)
    assert said.startswith("out/m.traj: holds results of other work (")
    assert "potential was qm9.pt (sha256 aaaaaaaa), is reactions.pt (sha256 bb" in said
    assert "how.fmax was 0.05, is 0.01" in said and "steps" not in said
    assert "start was C2H6O (" in said and said.endswith(
        "; add --overwrite to start over"
    )
    now.check(now.values, "", "")
    assert "nothing says what" in now.difference(None)
