"""Potential files: what is written comes back; nothing else is opened."""

import json
import os
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ase_physml.errors import PotentialError
from ase_physml.graph import AllPairs
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.model import PhysML
from ase_physml.store.card import FORMAT_VERSION, ModelCard
from ase_physml.store.checkpoint import load_potential, save_model

WATER = AllPairs(torch.tensor([[8, 1, 1]]), torch.eye(3).reshape(1, 3, 3))


def content(path: Path) -> dict[str, Any]:
    return dict(torch.load(path, weights_only=True))


def test_round_trip(tiny_potential: Path, tmp_path: Path) -> None:
    model, card = load_potential(tiny_potential)
    card = replace(card, errors={"mae_energy_meV": 1.5}, split_hashes={"a.h5": "0f"})
    save_model(tmp_path / "again.pt", model, card)
    other, same = load_potential(tmp_path / "again.pt")
    assert same == card
    assert same.numbers == (1, 6, 7, 8)
    assert same.units == {
        "energy": "eV", "length": "angstrom", "forces": "eV/angstrom",
    }  # fmt: skip
    assert not other.training
    assert torch.equal(model(WATER).molecules, other(WATER).molecules)
    assert other.self_energies.dtype == torch.float64


def test_float64_weights_stay_so(tiny_potential: Path, tmp_path: Path) -> None:
    model, card = load_potential(tiny_potential)
    save_model(tmp_path / "double.pt", model.double(), card)
    again, _ = load_potential(tmp_path / "double.pt")
    assert again.element_bias.dtype == torch.float64


def test_loading_draws_no_random_numbers(tiny_potential: Path) -> None:
    state = torch.get_rng_state()
    load_potential(tiny_potential)
    assert torch.equal(torch.get_rng_state(), state)


def test_loading_heeds_no_global_state(tiny_potential: Path) -> None:
    expected, _ = load_potential(tiny_potential)
    torch.set_default_dtype(torch.float64)
    try:
        found, _ = load_potential(tiny_potential)
    finally:
        torch.set_default_dtype(torch.float32)
    for name, value in expected.state_dict().items():
        assert torch.equal(found.state_dict()[name], value), name


class Malice:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.path}",)


def test_malicious_files_are_refused_and_not_run(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    zipped, bare = tmp_path / "zipped.pt", tmp_path / "bare.pt"
    torch.save({"format": "ase_physml", "state": Malice(proof)}, zipped)
    bare.write_bytes(pickle.dumps(Malice(proof)))
    with pytest.raises(PotentialError, match="nothing in it was run"):
        load_potential(zipped)
    with pytest.raises(PotentialError, match="truncated or not a potential of"):
        load_potential(bare)
    assert not proof.exists()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated(tiny_potential: Path, tmp_path: Path, share: float) -> None:
    whole = tiny_potential.read_bytes()
    path = tmp_path / "part.pt"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(PotentialError, match=r"part\.pt.*get it again"):
        load_potential(path)


def test_flipped_bytes_never_give_another_potential(
    tiny_potential: Path, tmp_path: Path
) -> None:
    whole = bytearray(tiny_potential.read_bytes())
    path = tmp_path / "flipped.pt"
    expected, _ = load_potential(tiny_potential)
    for position in range(0, len(whole), len(whole) // 40):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            found, _ = load_potential(path)
        except PotentialError:
            continue
        # Padding and time stamps of the archive mean nothing.
        for name, value in expected.state_dict().items():
            assert torch.equal(found.state_dict()[name], value), position


def test_newer_format(tiny_potential: Path, tmp_path: Path) -> None:
    later = {**content(tiny_potential), "format_version": FORMAT_VERSION + 1}
    torch.save(later, tmp_path / "later.pt")
    with pytest.raises(PotentialError, match="pip install -U ase-physml"):
        load_potential(tmp_path / "later.pt")


@pytest.mark.parametrize(
    "stranger", [{"state_dict": {}}, [1, 2], torch.zeros(3), {"format": "other"}]
)
def test_files_of_others(tmp_path: Path, stranger: object) -> None:
    torch.save(stranger, tmp_path / "other.pt")
    with pytest.raises(PotentialError, match="not a potential of this package"):
        load_potential(tmp_path / "other.pt")


def test_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(PotentialError, match="no such file"):
        load_potential(tmp_path / "none.pt")
    with pytest.raises(PotentialError, match="directory"):
        load_potential(tmp_path)


def test_weights_that_do_not_fit(tiny_potential: Path, tmp_path: Path) -> None:
    saved = content(tiny_potential)
    card = json.loads(saved["metadata"])
    card["architecture"]["width"] = 32
    torch.save({**saved, "metadata": json.dumps(card)}, tmp_path / "wide.pt")
    with pytest.raises(PotentialError, match="do not fit the architecture"):
        load_potential(tmp_path / "wide.pt")
    saved["state"]["element_bias"][0] = float("nan")
    torch.save(saved, tmp_path / "nan.pt")
    with pytest.raises(PotentialError, match="not finite"):
        load_potential(tmp_path / "nan.pt")


def test_card_of_another_architecture(tiny_potential: Path, tmp_path: Path) -> None:
    model, card = load_potential(tiny_potential)
    other = ModelCard.for_model(
        PhysMLConfig(width=32), name="x", level_of_theory="x", domain="equilibrium"
    )
    with pytest.raises(PotentialError, match="another architecture"):
        save_model(tmp_path / "x.pt", model, other)
    assert card.config == model.config


def test_interrupted_writing_leaves_the_old_file(
    tiny_potential: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, card = load_potential(tiny_potential)
    path = tmp_path / "mine.pt"
    save_model(path, model, card)
    before = path.read_bytes()

    def fails(_content: object, file: Any) -> None:
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fails)
    with pytest.raises(OSError, match="disk full"):
        save_model(path, PhysML(model.config), card)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"errors": "small"}, "errors: expected keys and values"),
        ({"errors": {"mae": "x"}}, "errors: mae: expected float"),
        ({"uncertainty": {"energy_scale": float("nan")}}, "expected a finite number"),
        ({"name": ["tiny"]}, "name: expected str"),
        ({"domain": "everything"}, "domain must be one of"),
        ({"surprise": 1}, "unknown key 'surprise'"),
        ({"architecture": 3}, "architecture: expected keys and values"),
    ],
)
def test_metadata_of_the_wrong_type(
    tiny_potential: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    saved = content(tiny_potential)
    metadata = json.dumps({**json.loads(saved["metadata"]), **change})
    torch.save({**saved, "metadata": metadata}, tmp_path / "wrong.pt")
    with pytest.raises(PotentialError, match=message) as error:
        load_potential(tmp_path / "wrong.pt")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 10**6}, "width must be at most"),
        ({"depth": 10**6}, "depth must be at most"),
        ({"width": 16_384}, "takes more than"),
        ({"alpha": float("nan")}, "alpha: expected a finite number"),
        ({"cutoff": "far"}, "cutoff: expected float"),
        ({"heads": -2}, "heads must be at least 1"),
        ({"elements": [[1]]}, "elements: expected int"),
    ],
)
def test_claims_are_checked_before_anything_is_built(
    tiny_potential: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    saved = content(tiny_potential)
    metadata = json.loads(saved["metadata"])
    metadata["architecture"] |= change
    torch.save({**saved, "metadata": json.dumps(metadata)}, tmp_path / "wrong.pt")
    with pytest.raises(PotentialError, match=message):
        load_potential(tmp_path / "wrong.pt")


def test_tensors_that_claim_more_than_they_hold(
    tiny_potential: Path, tmp_path: Path
) -> None:
    saved = content(tiny_potential)
    shape = saved["state"]["combine.weight"].shape
    for size in (shape, (10**6, 10**6)):
        saved["state"]["combine.weight"] = torch.zeros(()).expand(size)
        torch.save(saved, tmp_path / "view.pt")
        with pytest.raises(PotentialError, match=r"combine\.weight is no plain tensor"):
            load_potential(tmp_path / "view.pt")


def test_compressed_archives_are_refused(tiny_potential: Path, tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tiny_potential) as old,
        zipfile.ZipFile(tmp_path / "small.pt", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(PotentialError, match="get it again"):
        load_potential(tmp_path / "small.pt")
