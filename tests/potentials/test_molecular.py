"""Files of PhysChem and HamNet models."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from ase_physml.bonded_graph import BondedGraph
from ase_physml.chem.collate import collate
from ase_physml.chem.features import featurise
from ase_physml.chem.molecules import MoleculeStore
from ase_physml.errors import PotentialError
from ase_physml.models.hamnet.engine import HamNetEngine
from ase_physml.models.hamnet.model import HamNet
from ase_physml.potentials.checkpoint import (
    MOLECULAR_FORMAT,
    load_potential,
    read_file,
    write_file,
)
from ase_physml.potentials.molecular import (
    Kind,
    MolecularCard,
    MolecularModel,
    build_molecular,
    engine_of,
    head_of,
    load_molecular,
    save_molecular,
)
from ase_physml.potentials.predict import predict

PHYSCHEM = {"atom_width": 16, "bond_width": 8, "molecule_width": 16}
HAMNET = {"state_width": 8, "gcn_width": 16, "width": 16, "fingerprint": 16}
MODELS: dict[str, tuple[Kind, dict[str, Any]]] = {
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


def saved(path: Path, name: str) -> MolecularModel:
    kind, architecture = MODELS[name]
    model = build_molecular(kind, architecture).eval()
    card = MolecularCard(name, kind, model.config.to_dict(), order="rank")
    save_molecular(path, model, card)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_predictions_survive_the_file(
    name: str, graph: BondedGraph, tmp_path: Path
) -> None:
    model = saved(tmp_path / "model.pt", name)
    again, card = load_molecular(tmp_path / "model.pt")
    assert not again.training
    assert (card.name, card.kind, card.order) == (name, MODELS[name][0], "rank")
    for one, other in zip(predict(model, graph), predict(again, graph), strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert torch.equal(one, other)


def test_files_of_old_have_a_bias_that_did_nothing(
    graph: BondedGraph, tmp_path: Path
) -> None:
    """Without an LSTM; what is centred afterwards needs none."""
    model = build_molecular("hamnet", {**HAMNET, "lstm": False}).eval()
    card = MolecularCard("linear", "hamnet", model.config.to_dict())
    biases = {f"encoders.{k}.linear.bias": torch.ones(8) for k in range(2)}
    state = {**model.state_dict(), **biases}
    path, about = tmp_path / "old.pt", json.dumps(asdict(card))
    write_file(path, MOLECULAR_FORMAT, 1, about, state)
    again, _ = load_molecular(path)
    one, other = (predict(m, graph).trajectory for m in (model, again))
    assert one is not None and other is not None and torch.equal(one, other)


def test_parts_of_models() -> None:
    models = {name: build_molecular(*spec) for name, spec in MODELS.items()}
    assert engine_of(models["physchem"]) is None
    assert engine_of(models["engine"]) is models["engine"]
    assert isinstance(models["hamnet"], HamNet)
    assert engine_of(models["hamnet"]) is models["hamnet"].engine
    assert isinstance(models["engine"], HamNetEngine)
    assert head_of(models["engine"]) is head_of(models["physnet"]) is None
    assert head_of(models["physchem"]) is not None


def test_loading_leaves_random_numbers_alone(tmp_path: Path) -> None:
    saved(tmp_path / "model.pt", "engine")
    before = torch.get_rng_state()
    load_molecular(tmp_path / "model.pt")
    assert torch.equal(torch.get_rng_state(), before)


def test_no_such_kind() -> None:
    kind: Any = "gnn"
    with pytest.raises(PotentialError, match="'gnn'; there are physchem, hamnet"):
        build_molecular(kind, {})


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
    save_molecular(path, model, card)


def mix_up(path: Path) -> None:
    model, card = load_molecular(path)
    other = MolecularCard("other", "hamnet", {**card.architecture, "gcn_width": 8})
    save_molecular(path, model, other)


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
    saved(tmp_path / "model.pt", "engine")
    with pytest.raises(PotentialError, match="upgrade"):
        read_file(tmp_path / "model.pt", MOLECULAR_FORMAT, 0)
