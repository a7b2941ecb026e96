"""`physml relax`, end to end with a small random potential."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import read, write
from typer.testing import CliRunner, Result

from ase_physml.cli import app, main
from ase_physml.cli.progress import share_of_the_way
from ase_physml.errors import PotentialError, StructureError

Run = Callable[..., Result]


@pytest.fixture
def run(tiny_potential: Path, tmp_path: Path) -> Run:
    def call(*arguments: str | Path) -> Result:
        options = ["--model", str(tiny_potential), "--out", str(tmp_path / "out")]
        return CliRunner().invoke(app, ["relax", *map(str, arguments), *options])

    return call


def test_smiles_to_files(run: Run, tmp_path: Path) -> None:
    result = run("c1cc[nH]c1", "--steps", "5")
    assert result.exit_code == 0, result.output
    # Brackets are part of the name, not markup of the terminal.
    assert "c1cc[nH]c1" in result.stdout
    assert "C4H5N" in result.stdout
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"c1cc[nH]c1.{kind}" for kind in ("traj", "xyz", "png")}
    # Globs are for shells: the brackets of the name are meant as they are.
    with (tmp_path / "out" / "c1cc[nH]c1.traj").open("rb") as file:
        frames = read(file, ":", format="traj")
    assert len(frames) == 6
    assert f"{frames[-1].get_potential_energy():.4f}" in result.stdout


def test_converges_and_says_so(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "h2.xyz", molecule("H2"))
    result = run(tmp_path / "h2.xyz", "--fmax", "0.05", "--optimizer", "fire")
    assert result.exit_code == 0, result.output
    (row,) = (line for line in result.stdout.splitlines() if " h2 " in line)
    assert " yes " in row
    final = read(tmp_path / "out" / "h2.xyz")
    assert np.linalg.norm(final.get_forces(), axis=1).max() < 0.05


def test_not_converging_is_no_failure(run: Run) -> None:
    result = run("CCO", "--steps", "1", "--fmax", "1e-9")
    assert result.exit_code == 0
    (row,) = (line for line in result.stdout.splitlines() if " CCO " in line)
    assert " no " in row


def test_one_bad_input_does_not_stop_the_others(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "set.xyz", [molecule("H2O"), molecule("PH3"), molecule("CH4")])
    result = run(tmp_path / "set.xyz", "[NH4+]", "no.xyz", "O", "--steps", "2")
    assert result.exit_code == 1
    rows = [line for line in result.stdout.splitlines() if "failed" in line]
    assert [row.split()[0] for row in rows] == ["set-1", "[NH4+]", "no.xyz"]
    for message in ("set-1: ", "(P)", "total charge +1", "neither a file"):
        assert message in result.stderr
    written = {p.stem for p in (tmp_path / "out").glob("*.xyz")}
    assert written == {"set-0", "set-2", "O"}
    assert not list((tmp_path / "out").glob("*.part"))


def test_an_error_nobody_foresaw_does_not_stop_the_others(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ase_physml.calculators.physml import PhysMLCalculator

    original = PhysMLCalculator.calculate_many

    def sometimes(
        self: PhysMLCalculator, structures: list[Atoms], *arguments: Any
    ) -> Any:
        if any(len(atoms) == 5 for atoms in structures):
            raise ValueError("too large")
        return original(self, structures, *arguments)

    monkeypatch.setattr(PhysMLCalculator, "calculate_many", sometimes)
    result = run("C", "O", "--steps", "1")
    assert result.exit_code == 1
    assert "C: ValueError: too large" in result.stderr
    assert "H2O" in result.stdout


def test_a_killed_run_is_resumed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ase_physml.workflows import relax as task

    write(tmp_path / "set.xyz", [molecule(name) for name in ("H2O", "CH4", "NH3")])
    arguments = (tmp_path / "set.xyz", "--fmax", "1e-9", "--steps", "4")
    whole = run(*arguments, "--batch-size", "1")
    energies = [
        read(tmp_path / "out" / f"set-{i}.xyz").get_potential_energy() for i in range(3)
    ]
    for path in (tmp_path / "out").iterdir():
        path.unlink()
    original = task.write_final

    def dies(done: Any, stem: Path) -> None:
        if stem.name == "set-1":
            raise KeyboardInterrupt
        original(done, stem)

    with monkeypatch.context() as kept:
        kept.setattr(task, "write_final", dies)
        assert run(*arguments, "--batch-size", "1").exit_code == 130
    assert {p.name for p in (tmp_path / "out").glob("*.xyz")} == {"set-0.xyz"}
    kept_time = (tmp_path / "out" / "set-0.xyz").stat().st_mtime_ns
    resumed = run(*arguments, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert (tmp_path / "out" / "set-0.xyz").stat().st_mtime_ns == kept_time
    again = [
        read(tmp_path / "out" / f"set-{i}.xyz").get_potential_energy() for i in range(3)
    ]
    assert again == pytest.approx(energies, abs=1e-9)
    assert resumed.stdout.count(" no ") == whole.stdout.count(" no ") == 3


def test_inputs_are_not_overwritten(tiny_potential: Path, tmp_path: Path) -> None:
    path = tmp_path / "water.xyz"
    write(path, molecule("H2O"))
    before = path.read_bytes()
    arguments = ["relax", str(path), "--model", str(tiny_potential)]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path)])
    assert isinstance(result.exception, StructureError)
    assert "choose another --out" in str(result.exception)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--fmax", "0"), "must be above 0"),
        (("--steps", "-1"), "--steps"),
        (("--optimizer", "newton"), "newton"),
        (("--dtype", "float16"), "float16"),
    ],
)
def test_unusable_options(run: Run, option: tuple[str, str], message: str) -> None:
    result = run("C", *option)
    assert result.exit_code == 2
    assert message in result.stderr


def test_errors_of_users_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["physml", "relax", "C", "--model", "no[t].pt"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: no[t].pt: ") and error.count("\n") == 1


def test_a_missing_potential_is_a_potential_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["relax", "C", "--model", "missing.pt"])
    assert isinstance(result.exception, PotentialError)


def test_the_bar_fills_as_the_force_falls() -> None:
    assert share_of_the_way(1.0, 1.0, 0.01) == 0.0
    assert share_of_the_way(1.0, 0.1, 0.01) == pytest.approx(0.5)
    assert share_of_the_way(1.0, 0.01, 0.01) == 1.0
    assert share_of_the_way(1.0, 7.0, 0.01) == 0.0
    assert share_of_the_way(0.005, 0.02, 0.01) == 1.0


def test_a_calculator_of_ase_and_options_that_are_not_for_it(tmp_path: Path) -> None:
    write(tmp_path / "cu.xyz", [Atoms("Cu2", [[0, 0, 0], [0, 0, 2.4]])] * 2)
    line = ["relax", str(tmp_path / "cu.xyz"), "--model", "emt", "--jobs", "2"]
    result = CliRunner().invoke(app, [*line, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "relaxed with emt" in result.stdout
    final = read(tmp_path / "out" / "cu-1.xyz")
    assert np.linalg.norm(final.get_forces(), axis=1).max() < 0.01
    for option in (["--dtype", "float32"], ["--compiled"], ["--device", "cuda"]):
        refused = CliRunner().invoke(app, [*line, *option])
        assert isinstance(refused.exception, PotentialError)
        assert option[0] in str(refused.exception)
    refused = CliRunner().invoke(app, [*line[:2], "--jobs", "2"])
    assert "computes batches" in str(refused.exception)
