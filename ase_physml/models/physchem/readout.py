"""Fingerprints of molecules by global attention."""

from torch import Tensor, nn
from torch.nn.functional import elu, leaky_relu

from ase_physml.bonded_graph import BondedGraph
from ase_physml.models.pooling import Pooling, pool_atoms
from ase_physml.segment import segment_softmax, segment_sum


class GlobalAttention(nn.Module):
    """A molecule attends to its atoms and updates its fingerprint by a GRU."""

    def __init__(self, atom_width: int, width: int) -> None:
        super().__init__()
        self.of_molecule = nn.Linear(width, 1)
        self.of_atom = nn.Linear(atom_width, 1, bias=False)
        self.values = nn.Linear(atom_width, width)
        self.update = nn.GRUCell(width, width)

    def forward(self, graph: BondedGraph, v: Tensor, fingerprint: Tensor) -> Tensor:
        """Fingerprints (M, width) to (M, width)."""
        asked = self.of_molecule(fingerprint).index_select(0, graph.molecule)
        scores = leaky_relu(asked + self.of_atom(v))
        weights = segment_softmax(scores, graph.molecule, graph.n_molecules)
        values = weights * leaky_relu(self.values(v))
        context = elu(segment_sum(values, graph.molecule, graph.n_molecules))
        return leaky_relu(self.update(context, fingerprint))


class Readout(nn.Module):
    """Mean or sum over the atoms, then ``layers`` of global attention."""

    def __init__(
        self, atom_width: int, width: int, layers: int, pooling: Pooling
    ) -> None:
        super().__init__()
        self.pooling = pooling
        self.first = nn.Linear(atom_width, width)
        self.layers = nn.ModuleList(
            GlobalAttention(atom_width, width) for _ in range(layers)
        )

    def forward(self, graph: BondedGraph, v: Tensor) -> Tensor:
        """Atom states (N, atom_width) to fingerprints (M, width)."""
        atoms = leaky_relu(self.first(v))
        fingerprint = pool_atoms(atoms, graph, self.pooling)
        for layer in self.layers:
            fingerprint = layer(graph, v, fingerprint)
        return fingerprint
