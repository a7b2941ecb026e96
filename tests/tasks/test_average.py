"""The mean of weights: right numbers, an honest card, one clear error otherwise."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from ase_physml.cli import app
from ase_physml.errors import PhysMLError, PotentialError
from ase_physml.potentials.checkpoint import load_potential, save_potential
from ase_physml.tasks.average import average_potentials


def test_weights_are_the_weighted_mean(members: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "mean.pt"
    average_potentials(members[:2], out, [3.0, 1.0])
    first, second, mean = (
        load_potential(file)[0].state_dict() for file in (*members[:2], out)
    )
    assert any(not torch.equal(first[key], second[key]) for key in first)
    for key, value in mean.items():
        torch.testing.assert_close(value, 0.75 * first[key] + 0.25 * second[key])
        assert value.dtype == first[key].dtype


def test_a_share_of_one_is_that_potential(members: list[Path], tmp_path: Path) -> None:
    average_potentials(members, tmp_path / "mean.pt", [0.0, 1.0, 0.0])
    expected = load_potential(members[1])[0].state_dict()
    found = load_potential(tmp_path / "mean.pt")[0].state_dict()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_the_card_says_of_what_and_no_errors(
    tiny_potential: Path, tmp_path: Path
) -> None:
    model, card = load_potential(tiny_potential)
    assert card.errors
    other = replace(
        card,
        name="other",
        domain="off-equilibrium",
        split_hashes={"b.h5": "1"},
        training={"steps": 7, "periodic": True},
    )
    save_potential(tmp_path / "other.pt", model, other)
    average_potentials([tmp_path / "other.pt", tiny_potential], tmp_path / "mean.pt")
    _, mean = load_potential(tmp_path / "mean.pt")
    assert mean.name == "mean"
    assert mean.errors == {}
    assert mean.domain == "off-equilibrium"
    assert mean.split_hashes == {**card.split_hashes, "b.h5": "1"}
    assert mean.training["periodic"] is False
    first, second = mean.training["average_of"]
    assert (first["name"], first["share"], first["steps"]) == ("other", 0.5, 7)
    assert second["name"] == "tiny"


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ([1.0], "2 potentials, but 1 shares"),
        ([1.0, -0.5], "0 or more"),
        ([0.0, 0.0], "not all 0"),
        ([1.0, float("nan")], "0 or more"),
    ],
)
def test_shares_that_do_not_fit(
    members: list[Path], tmp_path: Path, shares: list[float], message: str
) -> None:
    with pytest.raises(PotentialError, match=message):
        average_potentials(members[:2], tmp_path / "mean.pt", shares)
    assert not (tmp_path / "mean.pt").exists()


def test_what_has_no_common_mean(
    members: list[Path], tiny_committee: Path, tmp_path: Path
) -> None:
    model, card = load_potential(members[0])
    save_potential(tmp_path / "pbe.pt", model, replace(card, level_of_theory="PBE"))
    out = tmp_path / "mean.pt"
    with pytest.raises(PotentialError, match="level of theory"):
        average_potentials([members[0], tmp_path / "pbe.pt"], out)
    with pytest.raises(PotentialError, match="committee of 3"):
        average_potentials([members[0], tiny_committee], out)
    with pytest.raises(PotentialError, match="two potentials"):
        average_potentials(members[:1], out)


def test_command(members: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "mean.pt"
    files = [str(member) for member in members[:2]]
    done = CliRunner().invoke(
        app, ["average", *files, "--shares", "1,3", "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    parts = load_potential(out)[1].training["average_of"]
    assert [part["share"] for part in parts] == [0.25, 0.75]
    wrong = CliRunner().invoke(
        app, ["average", *files, "--shares", "1;3", "--out", str(out)]
    )
    assert isinstance(wrong.exception, PhysMLError)
    assert "not numbers with commas: 1;3" in str(wrong.exception)
