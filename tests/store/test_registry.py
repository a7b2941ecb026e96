"""Names of shipped potentials: found, verified, and told apart from paths."""

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, stdev

import pytest
import yaml

from ase_physml.errors import PotentialError
from ase_physml.jobs.file_hash import sha256
from ase_physml.store import registry
from ase_physml.store.checkpoint import (
    input_of,
    load_molecular,
    load_potentials,
)


@pytest.fixture
def shipped(
    tiny_potential: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A folder of shipped potentials with one in it."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    path = folder / "small.pt"
    path.write_bytes(tiny_potential.read_bytes())
    registry.register(path, "for tests")
    monkeypatch.setattr(registry, "folder", lambda: folder)
    registry.entries.cache_clear()
    registry._verify.cache_clear()
    yield path
    registry.entries.cache_clear()
    registry._verify.cache_clear()


def test_names_with_and_without_suffix(shipped: Path) -> None:
    assert registry.resolve("small.pt") == registry.resolve("small") == shipped


def test_paths(shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "small.pt"
    mine.write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert registry.resolve("small.pt") == shipped
    assert registry.resolve("./small.pt").samefile(mine)
    assert registry.resolve(mine) == mine


def test_unknown_name_lists_what_there_is(shipped: Path) -> None:
    with pytest.raises(PotentialError, match=r"neither a file nor.*shipped: small\.pt"):
        registry.resolve("large.pt")


def test_another_file_under_a_shipped_name(shipped: Path) -> None:
    shipped.write_bytes(shipped.read_bytes() + b"\0")
    with pytest.raises(PotentialError, match="SHA-256"):
        registry.resolve("small")


def test_lost_file(shipped: Path) -> None:
    shipped.unlink()
    with pytest.raises(PotentialError, match="missing; reinstall"):
        registry.resolve("small")


def test_registering_again_keeps_the_others(shipped: Path) -> None:
    other = shipped.with_name("other.pt")
    other.write_bytes(b"1")
    registry.register(other, "another")
    listed = yaml.safe_load((shipped.parent / "registry.yaml").read_text())
    assert set(listed["potentials"]) == {"small.pt", "other.pt"}


def test_what_is_measured_belongs_to_the_file_and_its_copies(
    shipped: Path, tmp_path: Path
) -> None:
    assert registry.measured(shipped) == ""
    path = shipped.parent / "registry.yaml"
    content = yaml.safe_load(path.read_text())
    content["potentials"]["small.pt"]["measured"] = "RMSE 1, plain 2"
    path.write_text(yaml.safe_dump(content))
    registry.entries.cache_clear()
    copy = tmp_path / "copy.pt"
    copy.write_bytes(shipped.read_bytes())
    assert registry.measured(shipped) == registry.measured(copy) == "RMSE 1, plain 2"
    copy.write_bytes(b"another")
    assert registry.measured(copy) == ""


def test_plain_models_are_named_with_their_stored_errors() -> None:
    results = Path(__file__).parents[2] / "training" / "properties" / "results"
    plain = json.loads((results / "plain_models.json").read_text())
    for name, found in plain.items():
        ours = json.loads((results / f"{name}_random.json").read_text())
        every = [one["properties"]["rmse"] for one in ours]
        said = registry.entries()[f"{name}.pt"]["measured"]
        assert f"{mean(every):.3f} ± {stdev(every):.3f}" in said
        for model in ("ECFP4, random forest", "descriptors, gradient boosting"):
            error = found["random"][model]["rmse"]
            assert f"{error['mean']:.3f} ± {error['deviation']:.3f}" in said


def test_what_is_shipped_is_whole() -> None:
    """Every file of the registry loads, has a card, and knows its own errors."""
    folder = registry.folder()
    for name, entry in registry.entries().items():
        path = registry.resolve(name)
        assert sha256(path) == entry["sha256"]
        is_potential = input_of(path) == "atoms"
        _, card = load_potentials(path) if is_potential else load_molecular(path)
        assert f"{card.name}.pt" == name
        assert card.errors
        assert card.split_hashes
        assert (folder / name).with_suffix(".md").stat().st_size > 500
    packed = {path.name for path in folder.glob("*.pt")}
    assert packed == set(registry.entries())


@pytest.mark.parametrize("name", ["qm9.pt", "qm9_delta.pt", "organic_delta.pt"])
def test_what_is_not_for_barriers_has_seen_minima_only(name: str) -> None:
    """By the domain of its card `physml neb` refuses it, not by what people read."""
    card = load_potentials(registry.resolve(name))[1]
    assert "barriers" in card.not_for
    assert card.domain == "equilibrium"
