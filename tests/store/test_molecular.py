"""Files of PhysChem and HamNet models."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ase_physml.bonded_graph import BondedGraph
from ase_physml.chem.collate import collate
from ase_physml.chem.features import featurise
from ase_physml.chem.molecules import MoleculeStore
from ase_physml.errors import PotentialError
from ase_physml.models.architecture import build_model
from ase_physml.models.bonded_model import BondedModel
from ase_physml.models.hamnet.engine import HamNetEngine
from ase_physml.models.hamnet.model import HamNet, engine_of
from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import (
    load_molecular,
    load_potential,
    read_archive,
    save_model,
    write_archive,
)

PHYSCHEM = {"atom_width": 16, "bond_width": 8, "molecule_width": 16}
HAMNET = {"state_width": 8, "gcn_width": 16, "width": 16, "fingerprint": 16}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "physnet": ("physchem", {**PHYSCHEM, "variant": "physnet"}),
    "springs": ("physchem", {**PHYSCHEM, "variant": "physnet", "forces": "springs"}),
    "physchem": ("physchem", {**PHYSCHEM, "targets": 2}),
    "engine": ("hamnet", HAMNET),
    "hamnet": ("hamnet", {**HAMNET, "targets": 3, "head": "multiclass"}),
    "both ways": ("hamnet", {**HAMNET, "targets": 1, "bidirectional": True}),
}


@pytest.fixture(scope="module")
def graph() -> BondedGraph:
    molecules = [featurise(smiles) for smiles in ("CCO", "C", "[Na+].[Cl-]")]
    return collate(MoleculeStore.of(molecules))


def saved(path: Path, name: str) -> BondedModel:
    kind, architecture = MODELS[name]
    model = build_model(kind, architecture).eval()
    card = ModelCard.for_model(model.config, name=name, order="rank")
    assert card.kind == kind
    save_model(path, model, card)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_predictions_survive_the_file(
    name: str, graph: BondedGraph, tmp_path: Path
) -> None:
    model = saved(tmp_path / "model.pt", name)
    again, card = load_molecular(tmp_path / "model.pt")
    assert not again.training
    assert (card.name, card.kind, card.order) == (name, MODELS[name][0], "rank")
    for one, other in zip(model.predict(graph), again.predict(graph), strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert torch.equal(one, other)


def test_files_of_old_have_a_bias_that_did_nothing(
    graph: BondedGraph, tmp_path: Path
) -> None:
    """Without an LSTM; what is centred afterwards needs none."""
    model = build_model("hamnet", {**HAMNET, "lstm": False}).eval()
    card = ModelCard.for_model(model.config, name="linear")
    biases = {f"encoders.{k}.linear.bias": torch.ones(8) for k in range(2)}
    state = {**model.state_dict(), **biases}
    path = tmp_path / "old.pt"
    save_model(path, model, card)
    write_archive(path, {**read_archive(path, "a model"), "state": state})
    again, _ = load_molecular(path)
    one, other = (m.predict(graph).trajectory for m in (model, again))
    assert one is not None and other is not None and torch.equal(one, other)


def test_parts_of_models() -> None:
    models = {name: build_model(*spec) for name, spec in MODELS.items()}
    assert engine_of(models["physchem"]) is None
    assert engine_of(models["engine"]) is models["engine"]
    assert isinstance(models["hamnet"], HamNet)
    assert engine_of(models["hamnet"]) is models["hamnet"].engine
    assert isinstance(models["engine"], HamNetEngine)
    assert models["engine"].head is models["physnet"].head is None
    assert models["physchem"].head is not None


def test_loading_leaves_random_numbers_alone(tmp_path: Path) -> None:
    saved(tmp_path / "model.pt", "engine")
    before = torch.get_rng_state()
    load_molecular(tmp_path / "model.pt")
    assert torch.equal(torch.get_rng_state(), before)


def test_no_such_kind() -> None:
    kind: Any = "gnn"
    with pytest.raises(PotentialError, match="'gnn'; there are physml, physchem"):
        build_model(kind, {})


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def corrupt(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    path.write_bytes(content)


def turn_nan(path: Path) -> None:
    model, card = load_molecular(path)
    with torch.no_grad():
        next(iter(model.parameters())).fill_(float("nan"))
    save_model(path, model, card)


def mix_up(path: Path) -> None:
    content = read_archive(path, "a model")
    about = json.loads(content["metadata"])
    about["architecture"]["gcn_width"] = 8
    write_archive(path, {**content, "metadata": json.dumps(about)})


def test_a_card_is_of_its_model(tmp_path: Path) -> None:
    model = saved(tmp_path / "model.pt", "engine")
    other = build_model("hamnet", {**HAMNET, "gcn_width": 8}).config
    card = ModelCard.for_model(other, name="other")
    with pytest.raises(PotentialError, match="another architecture"):
        save_model(tmp_path / "mixed.pt", model, card)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "get it again"),
        (corrupt, "get it again"),
        (turn_nan, "not finite"),
        (mix_up, "do not fit the architecture"),
        (Path.unlink, "no such file"),
    ],
)
def test_damaged_files(
    damage: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.pt"
    saved(path, "engine")
    damage(path)
    with pytest.raises(PotentialError, match=message):
        load_molecular(path)


def test_a_potential_is_no_model_of_molecules(tiny_potential: Path) -> None:
    with pytest.raises(PotentialError, match=r"where .* is needed"):
        load_molecular(tiny_potential)


def test_a_model_of_molecules_is_no_potential(tmp_path: Path) -> None:
    saved(tmp_path / "model.pt", "physnet")
    with pytest.raises(PotentialError, match=r"where .* is needed"):
        load_potential(tmp_path / "model.pt")


def test_newer_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    saved(path, "engine")
    write_archive(path, {**read_archive(path, "a model"), "format_version": 3})
    with pytest.raises(PotentialError, match="upgrade"):
        load_molecular(path)
