"""ChemNet: messages from triplets of atoms with their distances and angles.

In PhysChem ``t_ijk = FC(v_i, v_j, v_k, l_ij, l_ik, alpha_jik)`` for neighbours j
and k of i, the maximum over k for each bond ij, attention over the bonds of an atom,
GRUs for the states of atoms and bonds.
"""

from torch import Tensor, nn
from torch.nn.functional import elu, leaky_relu, relu

from ase_physml.bonded_graph import BondedGraph
from ase_physml.models.physchem.config import Receiver
from ase_physml.models.physchem.geometry import ANGLES, LENGTHS, Geometry
from ase_physml.segment import segment_max, segment_softmax, segment_sum


class ChemNet(nn.Module):
    """One round of message passing between atoms.

    Args:
        atom_width: Width of atom states.
        bond_width: Width of bond states.
        receiver: "centre": the message of bond ij goes to i, whose neighbours k it has
            seen (paper). "outer": it goes to j (published code).
        dropout: Dropout of the messages, 0 to 1.
    """

    def __init__(
        self, atom_width: int, bond_width: int, receiver: Receiver, dropout: float
    ) -> None:
        super().__init__()
        self.receiver = receiver
        self.geometry = Geometry()
        # FC(v_i, v_j, v_k, l_ij, l_ik, alpha) as a sum of products, each with as many
        # rows as there are atoms, edges or triplets.
        self.of_atoms = nn.Linear(atom_width, 3 * atom_width, bias=False)
        self.of_lengths = nn.Linear(LENGTHS, 2 * atom_width, bias=False)
        self.of_angles = nn.Linear(ANGLES, atom_width, bias=False)
        self.score = nn.Linear(bond_width, 1, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.update_atom = nn.GRUCell(atom_width, atom_width)

    def forward(
        self, graph: BondedGraph, v: Tensor, e: Tensor, q: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Update the states of the atoms.

        Args:
            graph: Edges and triplets.
            v: Atom states, (N, atom_width).
            e: States of the edges, equal in both directions, (E, bond_width).
            q: Positions, (N, 3).

        Returns:
            New atom states, and the features of the bond lengths (E, LENGTHS).
        """
        lengths, angles = self.geometry(graph, q)
        messages = self.messages(graph, v, lengths, angles)
        ends = graph.target if self.receiver == "centre" else graph.source
        weights = segment_softmax(self.score(e), ends, len(v))
        received = elu(segment_sum(weights * messages, ends, len(v)))
        return leaky_relu(self.update_atom(self.dropout(received), v)), lengths

    def messages(
        self, graph: BondedGraph, v: Tensor, lengths: Tensor, angles: Tensor
    ) -> Tensor:
        """``max_k t_ijk`` for the edge from j to i, (E, atom_width)."""
        v_i, v_j, v_k = self.of_atoms(v).chunk(3, dim=-1)
        l_ij, l_ik = self.of_lengths(lengths).chunk(2, dim=-1)
        ij, ik = graph.triplets
        seen = (v_k.index_select(0, graph.source) + l_ik).index_select(0, ik)
        strongest = segment_max(seen + self.of_angles(angles), ij, len(graph.source))
        own = v_i.index_select(0, graph.target) + v_j.index_select(0, graph.source)
        # What does not depend on k may be added after the maximum, ReLU is monotonic.
        return relu(own + l_ij + strongest)


class BondUpdate(nn.Module):
    """Bond states from the new states of both atoms, whichever comes first."""

    def __init__(self, atom_width: int, bond_width: int) -> None:
        super().__init__()
        self.of_atoms = nn.Linear(atom_width, bond_width)
        self.of_length = nn.Linear(LENGTHS, bond_width, bias=False)
        self.update = nn.GRUCell(bond_width, bond_width)

    def forward(
        self, graph: BondedGraph, v: Tensor, e: Tensor, lengths: Tensor
    ) -> Tensor:
        """States v (N, atom_width), e and features of lengths to e (E, bond_width)."""
        of_atoms = self.of_atoms(v)
        ends = of_atoms.index_select(0, graph.source)
        ends = ends + of_atoms.index_select(0, graph.target)
        message = leaky_relu(ends + self.of_length(lengths))
        return leaky_relu(self.update(message, e))
