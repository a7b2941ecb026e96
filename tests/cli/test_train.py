"""`physml train`: recipes, overrides, folders, and errors of one line."""

import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ase_physml.cli import app, main
from ase_physml.errors import DataError, RecipeError
from ase_physml.jobs.locking import FolderLock
from ase_physml.store.checkpoint import load_potential
from ase_physml.training.physml_module import PhysMLTraining

QUICKSTART = Path(__file__).parents[2] / "training" / "quickstart.yaml"
SHORT = ("stages.0.steps=4", "stages.0.warmup=1", "steps_per_epoch=2", "validate=8")


def train(out: Path, *arguments: str) -> Result:
    command = ["train", str(QUICKSTART), *SHORT, *arguments, "--out", str(out)]
    return CliRunner().invoke(app, command)


def test_the_sets_beside_the_recipe_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = train(tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "quickstart.pt" in result.stdout
    _, card = load_potential(tmp_path / "out" / "quickstart.pt")
    assert card.level_of_theory == "GFN2-xTB"
    assert card.training["steps"] == 4
    assert (tmp_path / "out" / "curves.png").exists()


def test_a_run_is_not_overwritten_but_resumed(tmp_path: Path) -> None:
    assert train(tmp_path / "out").exit_code == 0
    again = train(tmp_path / "out")
    assert isinstance(again.exception, RecipeError)
    assert "--resume last" in str(again.exception)
    longer = train(tmp_path / "out", "stages.0.steps=6", "--resume", "last")
    assert longer.exit_code == 0, longer.output
    _, card = load_potential(tmp_path / "out" / "quickstart.pt")
    assert card.training["steps"] == 6


def test_a_finished_run_is_said_to_be_so(tmp_path: Path) -> None:
    assert train(tmp_path / "out").exit_code == 0
    before = (tmp_path / "out" / "quickstart.pt").read_bytes()
    again = train(tmp_path / "out", "--resume", "last")
    assert again.exit_code == 0
    assert "this run has finished, after 4 steps: nothing is changed" in again.stdout
    assert (tmp_path / "out" / "quickstart.pt").read_bytes() == before
    other = train(tmp_path / "out", "seed=3", "--resume", "last")
    assert isinstance(other.exception, RecipeError)
    assert "seed was 0, is 3" in str(other.exception)


def test_a_signal_says_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = PhysMLTraining.training_step

    def signalled(self: PhysMLTraining, batch: Any, batch_idx: int) -> Any:
        if self.global_step == 1:
            signal.raise_signal(signal.SIGTERM)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(PhysMLTraining, "training_step", signalled)
    longer = ("steps_per_epoch=4",)
    result = train(tmp_path / "out", *longer)
    assert result.exit_code == 128 + signal.SIGTERM
    checkpoint = tmp_path / "out" / "checkpoints" / "last.ckpt"
    said = f"stopped by SIGTERM after 2 steps, which {checkpoint} keeps; go on with:"
    assert said in result.stderr
    monkeypatch.undo()
    assert train(tmp_path / "out", *longer, "--resume", "last").exit_code == 0


def test_a_folder_that_another_process_trains_in(tmp_path: Path) -> None:
    with FolderLock(tmp_path / "out"):
        result = train(tmp_path / "out")
    assert isinstance(result.exception, DataError)
    assert "another process" in str(result.exception)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    result = train(tmp_path / "out")
    assert isinstance(result.exception, DataError)
    assert (tmp_path / "out").read_text() == "mine"


def test_a_time_budget_ends_with_a_checkpoint(tmp_path: Path) -> None:
    budget = ("stages.0.steps=100000", "--max-time", "00:00:00:01")
    steps = []
    for resume in ((), ("--resume", "last")):
        assert train(tmp_path / "out", *budget, *resume).exit_code == 0
        _, card = load_potential(tmp_path / "out" / "quickstart.pt")
        steps.append(card.training["steps"])
    # Each piece has a budget of its own, and ends between two epochs.
    assert 0 < steps[0] < steps[1]
    assert not any(step % 2 for step in steps)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("model.widht=3",), "unknown key 'widht'"),
        (("sources.0.path=none.h5",), "none.h5 does not exist"),
        (("--max-time", "soon"), "not DD:HH:MM:SS"),
        (("--resume", "none.ckpt"), "no such checkpoint"),
    ],
)
def test_refused(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    result = train(tmp_path / "out", *arguments)
    assert isinstance(result.exception, RecipeError)
    assert message in str(result.exception)


def test_an_error_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["physml", "train", "none.yaml"])
    with pytest.raises(SystemExit) as exit_info:
        main()
    assert exit_info.value.code == 2
    assert capsys.readouterr().err == "error: none.yaml: no such recipe\n"
