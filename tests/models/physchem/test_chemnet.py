"""Messages against loops over triplets; who receives them."""

from typing import Literal

import pytest
import torch
from torch import Tensor
from torch.nn.functional import elu, leaky_relu

from ase_physml.bonded_graph import BondedGraph
from ase_physml.models.physchem.chemnet import BondUpdate, ChemNet
from ase_physml.models.physchem.readout import GlobalAttention

WIDTH, BONDS = 6, 5


def make(receiver: Literal["centre", "outer"]) -> ChemNet:
    torch.manual_seed(0)
    return ChemNet(WIDTH, BONDS, receiver, dropout=0.0).double()


def states(graph: BondedGraph) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    n, e = len(graph.molecule), random(len(graph.source), BONDS)
    return random(n, WIDTH), e + e[graph.reverse], random(n, 3)


def test_messages_are_maxima_over_triplets(graph: BondedGraph) -> None:
    net, (v, _, q) = make("centre"), states(graph)
    lengths, angles = net.geometry(graph, q)
    found = net.messages(graph, v, lengths, angles)
    # FC as one matrix: v_i, v_j, v_k, l_ij, l_ik, alpha.
    weight = torch.cat(
        [
            *net.of_atoms.weight.chunk(3),
            *net.of_lengths.weight.chunk(2),
            net.of_angles.weight,
        ],
        dim=1,
    )
    for edge in range(len(graph.source)):
        i, j = graph.target[edge], graph.source[edge]
        messages = []
        for other in range(len(graph.source)):
            if graph.target[other] != i:
                continue
            k = graph.source[other]
            a, b = q[j] - q[i], q[k] - q[i]
            cosine = (a @ b / a.norm() / b.norm()).reshape(1)
            triplet = [
                v[i], v[j], v[k],
                torch.tanh(net.geometry.length(torch.tanh(a.norm().reshape(1)))),
                torch.tanh(net.geometry.length(torch.tanh(b.norm().reshape(1)))),
                torch.tanh(net.geometry.angle(cosine)),
            ]  # fmt: skip
            messages.append(torch.relu(weight @ torch.cat(triplet)))
        torch.testing.assert_close(found[edge], torch.stack(messages).amax(0))


@pytest.mark.parametrize("receiver", ["centre", "outer"])
def test_centres_see_neighbours_and_outer_atoms_see_theirs(
    receiver: Literal["centre", "outer"], graph: BondedGraph
) -> None:
    """The chain 0-1-2-3: what of atom 2 does atom 0 learn in one round?"""
    net, (v, e, q) = make(receiver), states(graph)
    changed = v.clone()
    changed[2] += 1.0
    before, _ = net(graph, v, e, q)
    after, _ = net(graph, changed, e, q)
    assert not torch.allclose(before[1], after[1])
    assert torch.equal(before[0], after[0]) is (receiver == "centre")


def test_atoms_attend_to_their_bonds(graph: BondedGraph) -> None:
    """``v'_i = GRU(ELU(sum_j alpha_ij t_ij), v_i)``, alpha the softmax of the bonds."""
    net, (v, e, q) = make("centre"), states(graph)
    new, _ = net(graph, v, e, q)
    messages = net.messages(graph, v, *net.geometry(graph, q))
    for i in range(len(v)):
        bonds = (graph.target == i).nonzero()[:, 0]
        grown = [net.score(e[k]).exp() for k in bonds]
        total = torch.zeros(WIDTH, dtype=torch.float64)
        for weight, bond in zip(grown, bonds, strict=True):
            total += weight / sum(grown) * messages[bond]
        expected = leaky_relu(net.update_atom(input=elu(total), hx=v[i]))
        torch.testing.assert_close(new[i], expected)


def test_bonds_are_updated_from_both_atoms(graph: BondedGraph) -> None:
    """The message is the GRU's input, the old bond its state."""
    net, (v, e, q) = make("centre"), states(graph)
    lengths, _ = net.geometry(graph, q)
    torch.manual_seed(0)
    bonds = BondUpdate(WIDTH, BONDS).double()
    found = bonds(graph, v, e, lengths)
    for k, (i, j) in enumerate(zip(graph.target, graph.source, strict=True)):
        ends = bonds.of_atoms(v[i]) + bonds.of_atoms(v[j])
        message = leaky_relu(ends + bonds.of_length(lengths[k]))
        expected = leaky_relu(bonds.update(input=message, hx=e[k]))
        torch.testing.assert_close(found[k], expected)


def test_a_bond_has_one_state(graph: BondedGraph) -> None:
    net, (v, e, q) = make("centre"), states(graph)
    _, lengths = net(graph, v, e, q)
    after = BondUpdate(WIDTH, BONDS).double()(graph, v, e, lengths)
    torch.testing.assert_close(after, after[graph.reverse])
    assert not torch.allclose(after, e)


def test_atoms_without_bonds_receive_nothing(graph: BondedGraph) -> None:
    net, (v, e, q) = make("centre"), states(graph)
    after, _ = net(graph, v, e, q)
    alone = torch.bincount(graph.target, minlength=len(v)) == 0
    assert int(alone.sum()) == 4
    nothing = net.update_atom(torch.zeros_like(v), v)
    expected = leaky_relu(nothing)
    torch.testing.assert_close(after[alone], expected[alone])


def test_fingerprint_of_one_atom_is_finite(graph: BondedGraph) -> None:
    torch.manual_seed(0)
    attention = GlobalAttention(WIDTH, 4).double()
    v, _, _ = states(graph)
    found = attention(graph, v, torch.zeros(graph.n_molecules, 4).double())
    assert found.shape == (graph.n_molecules, 4) and found.isfinite().all()
