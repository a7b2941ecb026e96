"""HamNet as a whole: what it may see, what it may not, and every switch."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from rdkit import Chem
from torch import Tensor
from torch.nn.functional import leaky_relu

from ase_physml.bonded_graph import BondedGraph
from ase_physml.chem.collate import collate, graph_of
from ase_physml.chem.features import featurise
from ase_physml.chem.molecules import MoleculeStore
from ase_physml.errors import DataError, PotentialError
from ase_physml.models.hamnet.config import HamNetConfig
from ase_physml.models.hamnet.fingerprint import MessageLayer, Readout
from ase_physml.models.hamnet.model import HamNet
from ase_physml.models.pooling import pool_atoms

SMALL = HamNetConfig(
    state_width=8, gcn_width=16, steps=5, width=24, fingerprint=32, targets=3
)
VARIANTS = {
    "paper": SMALL,
    "repo": replace(SMALL, repo=True),
    "without dynamics": replace(SMALL, steps=0),
    "without dissipation": replace(SMALL, dissipation=False),
    "without LSTM": replace(SMALL, lstm=False),
    "both ways": replace(SMALL, bidirectional=True),
    "sum of the atoms": replace(SMALL, pooling="sum"),
    "given conformation": replace(SMALL, conformation="given"),
    "given through an MLP": replace(SMALL, conformation="given", places="mlp"),
    "scores of their own": replace(SMALL, own_scores=True),
    "without conformation": replace(SMALL, conformation="none"),
}


def build(config: HamNetConfig, seed: int = 0) -> HamNet:
    torch.manual_seed(seed)
    return HamNet(config).double()


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS.keys())
def model(request: pytest.FixtureRequest) -> HamNet:
    return build(request.param)


def alone(graph: BondedGraph, k: int) -> BondedGraph:
    """The k-th molecule of a batch as a batch of its own."""
    atoms, edges, pairs = (
        (graph.molecule[index] == k).nonzero().squeeze(1)
        for index in (slice(None), graph.source, graph.pairs[0])
    )
    first, first_edge = int(atoms[0]), int(edges[0]) if len(edges) else 0
    assert graph.positions is not None
    return replace(
        graph,
        atom_features=graph.atom_features[atoms],
        edge_features=graph.edge_features[edges],
        masses=graph.masses[atoms],
        source=graph.source[edges] - first,
        target=graph.target[edges] - first,
        reverse=graph.reverse[edges] - first_edge,
        pairs=graph.pairs[:, pairs] - first,
        hops=graph.hops[pairs],
        molecule=graph.molecule[atoms] - k,
        n_atoms=graph.n_atoms[k : k + 1],
        input_index=graph.input_index[atoms],
        positions=graph.positions[atoms],
    )


def test_shapes(model: HamNet, graph: BondedGraph) -> None:
    found = model(graph)
    n, m = len(graph.masses), graph.n_molecules
    assert found.property.shape == (m, 3)
    assert found.fingerprint.shape == (m, 32)
    if model.config.conformation == "none":
        assert found.positions is None
    else:
        assert found.positions.shape == (n, 3)


def test_molecules_do_not_see_their_batch(model: HamNet, graph: BondedGraph) -> None:
    together = model(graph)
    for k in range(graph.n_molecules):
        by_itself = model(alone(graph, k))
        assert torch.allclose(by_itself.property[0], together.property[k], atol=1e-12)
        if together.positions is not None:
            expected = together.positions[graph.molecule == k]
            assert torch.allclose(by_itself.positions, expected, atol=1e-12)


@pytest.mark.parametrize("smiles", ["CC(C)(C)C(=O)N", "OC1CCC1C#N", "[Na+].[Cl-]"])
def test_the_order_of_the_input_does_not_matter(smiles: str) -> None:
    model = build(SMALL)
    molecule = Chem.MolFromSmiles(smiles)
    backwards = list(reversed(range(molecule.GetNumAtoms())))
    graphs = [
        collate(MoleculeStore.of([featurise(m)])).to(torch.float64)
        for m in (molecule, Chem.RenumberAtoms(molecule, backwards))
    ]
    one, other = (model(g) for g in graphs)
    assert torch.allclose(one.property, other.property, atol=1e-12)
    assert torch.allclose(one.positions, other.positions, atol=1e-12)


def test_everything_learns(model: HamNet, graph: BondedGraph) -> None:
    # What all scores of a softmax share, it takes away again, to the last rounding,
    # but where they lie on two sides of the LeakyReLU: here some do.
    for layer in model.generator.layers:
        layer.register_forward_pre_hook(_divide_scores_of_bonds)
    model.generator.readout.register_forward_pre_hook(_divide_scores_of_atoms)
    found = model(graph)
    loss = found.property.square().sum()
    if model.engine is not None:
        loss = loss + found.positions.square().sum()
    loss.backward()
    # Without steps nothing moves, and without conformation no place differs.
    spared = ["hamiltonian."] if model.config.steps == 0 else []
    if model.config.conformation == "none":
        spared += [".place.", ".score_place."]
    for name, parameter in model.named_parameters():
        if any(part in name for part in spared):
            continue
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 1e-9, name


def _divide_scores_of_bonds(layer: MessageLayer, inputs: tuple[Any, ...]) -> None:
    graph, _, f, x = inputs
    score = layer.score_place(x)
    scores = layer.score_bond(f) + score[graph.target] - score[graph.source]
    _put_zero_between(scores, graph.target, layer.score_bond.bias)


def _divide_scores_of_atoms(readout: Readout, inputs: tuple[Any, ...]) -> None:
    graph, h, x = inputs
    g = pool_atoms(leaky_relu(readout.start(h)), graph, readout.pooling)
    scores = readout.score_molecule(g)[graph.molecule]
    scores = scores + readout.score_atom(torch.cat([h, x], -1))
    _put_zero_between(scores, graph.molecule, readout.score_atom.bias)


@torch.no_grad()
def _put_zero_between(scores: Tensor, index: Tensor, bias: Tensor) -> None:
    """Shifts the scores so that those of the most diverse segment differ in sign."""
    segments = [scores[index == k] for k in index.unique()]
    widest = max(segments, key=lambda s: float(s.max() - s.min()))
    bias.sub_((widest.max() + widest.min()) / 2)


def test_frozen_engine_stays_as_it_is(graph: BondedGraph) -> None:
    learning, frozen = build(SMALL), build(replace(SMALL, frozen_engine=True))
    assert frozen.engine is not None
    assert torch.allclose(learning(graph).property, frozen(graph).property)
    frozen(graph).property.sum().backward()
    assert not frozen(graph).positions.requires_grad
    for name, parameter in frozen.named_parameters():
        assert (parameter.grad is None) == name.startswith("engine."), name


def test_given_conformations_count(graph: BondedGraph) -> None:
    model = build(replace(SMALL, conformation="given"))
    assert graph.positions is not None
    here = model(graph).property
    shifted = replace(graph, positions=graph.positions + 5.0)
    assert torch.allclose(model(shifted).property, here, atol=1e-12)
    stretched = replace(graph, positions=graph.positions * 1.1)
    assert not torch.allclose(model(stretched).property[0], here[0], atol=1e-4)
    with pytest.raises(DataError, match="give positions"):
        model(replace(graph, positions=None))


def test_trajectory_leads_to_the_conformation(graph: BondedGraph) -> None:
    engine = build(SMALL).engine
    assert engine is not None
    found = engine(graph)
    assert found.trajectory.shape == (SMALL.steps + 1, len(graph.masses), 3)
    assert torch.equal(found.trajectory[-1], found.positions)
    q, _ = engine.start(graph)
    assert torch.allclose(found.trajectory[0], engine.decoder(q))
    for energy in found.energies:
        assert energy.shape == (graph.n_molecules,)


def test_equal_atoms_are_told_apart(graph: BondedGraph) -> None:
    engine = build(SMALL).engine
    assert engine is not None
    positions: Tensor = engine(graph).positions[graph.molecule == 5]
    gaps = torch.pdist(positions)
    assert (gaps > 1e-6).all()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_first_atoms_know_of_the_last_if_read_both_ways(bidirectional: bool) -> None:
    engine = build(replace(SMALL, bidirectional=bidirectional)).engine
    assert engine is not None
    # Nine bonds apart, farther than two graph convolutions reach.
    starts = [
        engine.start(graph_of(smiles).to(torch.float64))[0]
        for smiles in ("CCCCCCCCCO", "CCCCCCCCCN")
    ]
    # Differences of atoms: the centre of a molecule depends on all of them.
    one, other = (q[0] - q[1] for q in starts)
    assert torch.allclose(one, other, atol=1e-12) == (not bidirectional)


def test_no_targets_no_properties(graph: BondedGraph) -> None:
    assert build(replace(SMALL, targets=0))(graph).property is None


def test_architecture_survives_json() -> None:
    config = replace(SMALL, conformation="given", dropout=0.2)
    assert HamNetConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"state_width": 0}, "state_width"),
        ({"steps": -1}, "steps"),
        ({"step_size": 0.0}, "step_size"),
        ({"dropout": 1.0}, "dropout"),
        ({"bidirectional": True, "lstm": False}, "needs an LSTM"),
        ({"conformation": "real"}, "conformation must be one of 'engine', 'given'"),
        ({"pooling": "max"}, "pooling"),
        ({"colour": 1}, "not a HamNet architecture"),
    ],
)
def test_unusable_architectures_are_refused(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(PotentialError, match=message):
        HamNetConfig.from_dict({**SMALL.to_dict(), **change})


@pytest.mark.parametrize("attribute", ["atom_features", "masses"])
def test_atoms_are_seen(graph: BondedGraph, attribute: str) -> None:
    model = build(SMALL)
    changed = replace(graph, **{attribute: getattr(graph, attribute) * 1.5})
    assert not torch.allclose(model(changed).positions, model(graph).positions)
