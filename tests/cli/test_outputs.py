"""Every verb: what ``--out`` may name, what is there already, options that are not."""

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer
from ase.build import molecule
from ase.io import write

from ase_physml.cli import app, main

GROUPS = typer.main.get_command(app)
# What else a verb needs to come as far as its output; "" stands for OUT.
FOLDERS: dict[str, list[str]] = {
    "relax": ["water.xyz", "--model", "tiny.pt", "--steps", "1", "--no-plot"],
    "neb": ["water.xyz", "water.xyz", "--model", "tiny.pt", "--any-domain"],
    "pathway": ["water.xyz", "water.xyz", "--model", "tiny.pt", "--any-domain"],
    "vib": ["water.xyz", "--model", "tiny.pt"],
    "saddle": ["water.xyz", "--model", "tiny.pt"],
    "evaluate": ["emt", "--suites", "structure", "--molecules", "1"],
    "train": ["recipe.yaml"],
}
FILES: dict[str, list[str]] = {
    "conformers": ["O"],
    "predict": ["tiny.pt", "table.csv"],
    "committee": ["tiny.pt", "tiny.pt", "--data", "set.h5"],
    "data import": ["water.xyz", ""],
    "data label": ["water.xyz", "", "--calculator", "emt"],
    "data table": ["table.csv", ""],
    "data split": ["set.h5", ""],
}
RECIPE = (
    "name: a\nsources: [{path: set.h5}]\nstages: [{steps: 1}]\nsteps_per_epoch: 1\n"
)


def commands(
    group: click.Command, name: str = ""
) -> Iterator[tuple[str, click.Command]]:
    # Not by its class: typer may bring a click of its own.
    if hasattr(group, "commands"):
        for each, command in group.commands.items():
            yield from commands(command, f"{name} {each}".strip())
    else:
        yield name, group


VERBS = dict(commands(GROUPS))


@pytest.fixture(autouse=True)
def inputs(
    tiny_potential: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write("water.xyz", molecule("H2O"))
    Path("table.csv").write_text("smiles,logP\nO,1\n")
    Path("recipe.yaml").write_text(RECIPE)
    Path("set.h5").write_bytes(b"")
    Path("tiny.pt").write_bytes(tiny_potential.read_bytes())


def line(verb: str, out: object) -> list[str]:
    words = (FOLDERS | FILES)[verb]
    if "" in words:
        return [*verb.split(), *(word or str(out) for word in words)]
    return [*verb.split(), *words, "--out", str(out)]


def refused(
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> str:
    """What the command says, in one line, with exit code 2."""
    monkeypatch.setattr(sys, "argv", ["physml", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    said = capsys.readouterr().err
    assert caught.value.code == 2, said
    assert "Traceback" not in said
    return said


def test_every_verb_with_an_output_is_here() -> None:
    with_out = {
        name
        for name, command in VERBS.items()
        if any(parameter.name == "out" for parameter in command.params)
    }
    assert with_out == FOLDERS.keys() | FILES.keys()


def test_every_verb_is_resumed_and_overwritten_alike() -> None:
    for name in FOLDERS.keys() | FILES.keys():
        options = {p.name: p.opts for p in VERBS[name].params}
        if name != "train":  # has checkpoints, one of which --resume names
            assert options["overwrite"] == ["--overwrite"], name
        if name not in ("train", "committee", "data import", "data split"):
            assert options["resume"] == ["--resume"], name


@pytest.mark.parametrize("verb", VERBS)
def test_a_misspelt_option(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--otu" in refused([*verb.split(), "--otu"], monkeypatch, capsys)


@pytest.mark.parametrize("verb", FOLDERS | FILES)
@pytest.mark.parametrize("place", ["water.xyz/below/out.sdf", "/proc/none/out.sdf"])
def test_a_place_that_cannot_be_written(
    verb: str,
    place: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = refused(line(verb, place), monkeypatch, capsys)
    assert len(said.splitlines()) == 1 and "out.sdf" in said


@pytest.mark.parametrize("verb", FOLDERS)
def test_a_file_where_a_folder_is_meant(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path("water.xyz").read_bytes()
    said = refused(line(verb, "water.xyz"), monkeypatch, capsys)
    assert len(said.splitlines()) == 1 and "water.xyz: is a file" in said
    assert Path("water.xyz").read_bytes() == before


@pytest.mark.parametrize("verb", FILES)
def test_a_folder_where_a_file_is_meant(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("out.sdf").mkdir()
    said = refused(line(verb, "out.sdf"), monkeypatch, capsys)
    assert len(said.splitlines()) == 1 and "out.sdf: is a folder" in said


@pytest.mark.parametrize("verb", FILES)
def test_a_file_that_is_there(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("out.sdf").write_text("mine")
    said = refused(line(verb, "out.sdf"), monkeypatch, capsys)
    assert "out.sdf: exists" in said and "--overwrite" in said
    assert Path("out.sdf").read_text() == "mine"
    both = [*line(verb, "out.sdf"), "--overwrite", "--resume"]
    if any(p.name == "resume" for p in VERBS[verb].params):
        assert "give one of them" in refused(both, monkeypatch, capsys)


THERE = {
    "relax": "water.traj",
    "neb": "water-water.traj",
    "pathway": "steps.json",
    "evaluate": "report.json",
}


@pytest.mark.parametrize("verb", THERE)
def test_results_that_are_there(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("out").mkdir()
    Path("out", THERE[verb]).write_text("mine")
    said = refused(line(verb, "out"), monkeypatch, capsys)
    assert "--resume keeps what is done, --overwrite" in said
    assert [path.name for path in Path("out").iterdir()] == [THERE[verb]]
    both = [*line(verb, "out"), "--overwrite", "--resume"]
    assert "give one of them" in refused(both, monkeypatch, capsys)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_that_nobody_foresaw(
    code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(code, os.strerror(code), "out.json")

    monkeypatch.setattr("ase_physml.cli.app", full)
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and "out.json: " in said and "make room" in said
