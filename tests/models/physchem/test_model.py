"""PhysChem as a whole: no molecule sees another, nothing is NaN, all of it learns."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ase_physml.bonded_graph import BondedGraph
from ase_physml.chem.collate import graph_of
from ase_physml.errors import DataError, PotentialError
from ase_physml.models.physchem.config import PhysChemConfig
from ase_physml.models.physchem.model import PhysChem, PhysChemOutput
from ase_physml.models.physchem.readout import GlobalAttention

SMALL = PhysChemConfig(
    atom_width=12, bond_width=8, molecule_width=10, pair_width=6, pair_layers=2,
    targets=3,
)  # fmt: skip
ALONE = replace(SMALL, variant="physnet", targets=0)
VARIANTS = {
    "physchem": SMALL,
    "unshared": replace(SMALL, shared=False, global_layers=2),
    "published code": replace(SMALL, forces="bounded", receiver="outer"),
    "equivariant": replace(SMALL, forces="equivariant"),
    "springs": replace(SMALL, forces="springs", integrator="symplectic", friction=0.5),
    "sum of the atoms": replace(SMALL, pooling="sum"),
    "generalised coordinates": replace(SMALL, space=8),
    "physnet": ALONE,
    "physnet with springs": replace(ALONE, forces="springs", pair_layers=0),
    "chemnet": replace(SMALL, variant="chemnet"),
    "chemnet_conformer": replace(SMALL, variant="chemnet_conformer"),
    "chemnet_multitask": replace(SMALL, variant="chemnet_multitask"),
    "multitask by an MLP": replace(SMALL, variant="chemnet_multitask", decoder="mlp"),
}
JOINT = [name for name, c in VARIANTS.items() if c.variant == "physchem"]
# Sums drown what the atoms of a molecule say: a flat softmax has no gradient.
MEANS = [name for name in JOINT if VARIANTS[name].pooling == "mean"]


def make(config: PhysChemConfig) -> PhysChem:
    """A model away from its tame start, so that every term matters."""
    torch.manual_seed(0)
    model = PhysChem(config).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS.keys())
def model(request: pytest.FixtureRequest) -> PhysChem:
    return make(request.param)


def parts(out: PhysChemOutput) -> dict[str, Tensor]:
    """Everything a model predicts, by name."""
    found = {f"step {t}": q for t, q in enumerate(out.trajectory)}
    named = {k: v for k, v in out._asdict().items() if isinstance(v, Tensor)}
    return found | named


def rows(name: str, graph: BondedGraph, molecule: int) -> Tensor:
    """Rows of a prediction that belong to one molecule of a batch."""
    if name in ("property", "molecules"):
        return torch.arange(graph.n_molecules) == molecule
    if name == "distances":
        return graph.molecule[graph.pairs[0]] == molecule
    return graph.molecule == molecule


def loss(out: PhysChemOutput) -> Tensor:
    """Reaches whatever a training may: squares of all but the states."""
    predicted = {k: v for k, v in parts(out).items() if k not in ("atoms", "forces")}
    return torch.stack([value.square().sum() for value in predicted.values()]).sum()


def test_no_molecule_sees_another(
    model: PhysChem,
    graph: BondedGraph,
    molecules: dict[str, object],
    build: Callable[..., BondedGraph],
) -> None:
    together = parts(model(graph))
    for place, name in enumerate(["chain", "methane", "ring", "salt", "ions"]):
        alone = parts(model(build(molecules[name])))
        assert alone.keys() == together.keys()
        for key, value in alone.items():
            found = together[key][rows(key, graph, place)]
            torch.testing.assert_close(found, value, msg=f"{key} of {name}")


def test_order_of_edges_and_pairs_means_nothing(
    model: PhysChem, graph: BondedGraph
) -> None:
    generator = torch.Generator().manual_seed(1)
    order = torch.randperm(len(graph.source), generator=generator)
    new = torch.argsort(order)
    triplets = new[graph.triplets]
    shuffled = replace(
        graph,
        source=graph.source[order],
        target=graph.target[order],
        edge_features=graph.edge_features[order],
        reverse=new[graph.reverse[order]],
        triplets=triplets[:, torch.argsort(triplets[0], stable=True)],
        pairs=graph.pairs.flip(1),
        hops=graph.hops.flip(0),
    )
    before, after = parts(model(graph)), parts(model(shuffled))
    for key, value in before.items():
        expected = value.flip(0) if key == "distances" else value
        torch.testing.assert_close(after[key], expected, msg=key)


def test_gradients_are_finite(model: PhysChem, graph: BondedGraph) -> None:
    loss(model(graph)).backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("name", MEANS)
def test_every_parameter_learns(name: str, graph: BondedGraph) -> None:
    model = make(VARIANTS[name])
    assert model.readout is not None
    for layer in model.readout.layers:
        # What a fingerprint adds to scores of one sign, the softmax takes away again.
        layer.register_forward_pre_hook(_centre_scores)
    loss(model(graph)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 1e-9, name


def _centre_scores(
    layer: GlobalAttention, inputs: tuple[object, Tensor, Tensor]
) -> None:
    _, v, fingerprint = inputs
    with torch.no_grad():
        score = layer.of_atom(v).mean() + layer.of_molecule(fingerprint).mean()
        layer.of_molecule.bias.sub_(score)


@pytest.mark.parametrize("forces", ["paper", "bounded", "equivariant", "springs"])
def test_coincident_atoms_give_finite_gradients(
    forces: str, graph: BondedGraph
) -> None:
    model = make(replace(SMALL, forces=forces))
    assert model.first_positions is not None
    with torch.no_grad():
        model.first_positions.out.weight.zero_()
        model.first_positions.out.bias.zero_()
    out = model(graph)
    loss(out).backward()
    assert all(value.isfinite().all() for value in parts(out).values())
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_shapes(graph: BondedGraph) -> None:
    out = make(SMALL)(graph)
    assert len(out.trajectory) == 1 + SMALL.blocks * SMALL.steps
    assert out.positions is not None and out.positions.shape == (17, 3)
    assert out.property is not None and out.property.shape == (5, 3)
    assert out.molecules is not None and out.molecules.shape == (5, 10)
    assert out.atoms.shape == (17, 12)


def test_classes_have_logits_of_their_own(graph: BondedGraph) -> None:
    out = make(replace(SMALL, head="multiclass", classes=4))(graph)
    assert out.property is not None and out.property.shape == (5, 3, 4)


def test_properties_are_in_the_units_of_the_targets(graph: BondedGraph) -> None:
    model = make(SMALL)
    plain = model(graph).property
    assert model.head is not None
    model.head.mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    model.head.deviation.fill_(5.0)
    expected = 5.0 * plain + torch.tensor([1.0, 2.0, 3.0])
    torch.testing.assert_close(model(graph).property, expected)
    assert "head.mean" in model.state_dict()


def test_geometry_reaches_properties_where_it_should(graph: BondedGraph) -> None:
    assert graph.positions is not None
    stretched = replace(graph, positions=1.1 * graph.positions)
    reads = make(VARIANTS["chemnet_conformer"])
    blind = make(VARIANTS["chemnet"])
    assert not torch.allclose(reads(graph).property, reads(stretched).property)
    assert torch.equal(blind(graph).property, blind(stretched).property)
    assert blind(graph).positions is None


def test_chemnet_reads_the_decoded_conformation(graph: BondedGraph) -> None:
    """Where all atoms are decoded to one point it cannot know where they started."""
    model = make(VARIANTS["generalised coordinates"])
    assert model.decoder is not None and model.first_positions is not None
    model.decoder.weight.data.zero_()
    before = model(graph).property
    for parameter in model.first_positions.parameters():
        parameter.data.add_(0.3)
    torch.testing.assert_close(model(graph).property, before, rtol=0, atol=1e-12)


def test_physnet_alone_may_see_no_bond_states(graph: BondedGraph) -> None:
    for sees in (True, False):
        model = make(replace(ALONE, bond_states=sees))
        before = model(graph).trajectory[-1]
        model.first_states.bonds.bias.data.add_(1.0)
        assert torch.equal(model(graph).trajectory[-1], before) is not sees


@pytest.mark.parametrize("width", [39, 34])
def test_feature_width_is_a_choice(
    width: int, build: Callable[..., BondedGraph], molecules: dict[str, object]
) -> None:
    graph = build(molecules["ring"], atom_features=width)
    assert make(replace(SMALL, atom_features=width))(graph).property.isfinite().all()
    other = make(replace(SMALL, atom_features=73 - width))
    with pytest.raises(DataError, match=f"the graph has {width}"):
        other(graph)


def test_missing_conformation_is_named(graph: BondedGraph) -> None:
    with pytest.raises(DataError, match="reads positions"):
        make(VARIANTS["chemnet_conformer"])(replace(graph, positions=None))


def test_single_precision(model: PhysChem, graph: BondedGraph) -> None:
    precise = parts(model(graph))
    rough = parts(model.float()(graph.to(torch.float32)))
    for key, value in rough.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value.double(), precise[key], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS.keys())
def test_config_as_dict(config: PhysChemConfig) -> None:
    assert PhysChemConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variant": "physicschem"}, "variant must be one of 'physchem'"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"friction": 1.5}, "friction must be at most 1"),
        ({"forces": "springs", "space": 8}, "need space=3"),
        ({"variant": "physnet", "targets": 2}, "predicts conformations alone"),
        ({"variant": "chemnet"}, "predicts properties alone"),
        ({"bond_states": False, "targets": 1}, "is for variant='physnet'"),
        ({"depth": 3}, "not a PhysChem architecture"),
    ],
)
def test_unusable_config_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(PotentialError, match=message):
        PhysChemConfig.from_dict(change)


def test_order_of_input_atoms_means_nothing() -> None:
    model = make(SMALL)
    outs = []
    for smiles in ("CC(N)C(=O)OC=C", "C=COC(=O)C(C)N"):
        graph = graph_of(smiles).to(torch.float64)
        outs.append(parts(model(graph)))
    for key, value in outs[0].items():
        torch.testing.assert_close(outs[1][key], value, msg=key)


@pytest.mark.parametrize("smiles", ["C", "[Ne]", "[Na+].[Cl-]", "C.CCO"])
def test_molecules_of_few_bonds(model: PhysChem, smiles: str) -> None:
    graph = graph_of(smiles).to(torch.float64)
    graph = replace(graph, positions=torch.zeros(len(graph.molecule), 3).double())
    assert all(value.isfinite().all() for value in parts(model(graph)).values())
