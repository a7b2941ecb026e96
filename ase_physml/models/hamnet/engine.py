"""The Hamiltonian engine: a molecular graph rolls into a conformation (HamNet).

The learned space has d_f dimensions and no preferred frame. Conformations come out
with arbitrary orientation and, as far as losses of distances taught it, arbitrary
handedness: do not read stereochemistry off them.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ase_physml.bonded_graph import BondedGraph
from ase_physml.models.bonded_model import BondedModel, MolecularPrediction
from ase_physml.models.hamnet.config import HamNetConfig
from ase_physml.models.hamnet.encoder import BondStrength, Encoder
from ase_physml.models.hamnet.hamiltonian import EngineEnergies, Hamiltonian


class EngineOutput(NamedTuple):
    """Conformation of a batch, and the way to it.

    Attributes:
        positions: Conformation, Å, shape (N, 3).
        trajectory: Conformations before the first and after every step, Å, shape
            (T + 1, N, 3).
        q: Last positions in the learned space, shape (N, d_f).
        p: Last momenta, shape (N, d_f).
        energies: Energies of each molecule at the end.
    """

    positions: Tensor
    trajectory: Tensor
    q: Tensor
    p: Tensor
    energies: EngineEnergies


class HamNetEngine(BondedModel):
    """Starts atoms by GCN and LSTM, moves them by `Hamiltonian`, decodes to 3-D.

    With or without dissipation the last state counts; the authors' code averages over
    the steps when there is no dissipation.
    """

    def __init__(self, config: HamNetConfig) -> None:
        super().__init__()
        self.config = config
        self.head = None
        d = config.state_width
        self.strength = BondStrength(config)
        widths = [2 * d] if config.repo else [d, d]
        self.encoders = nn.ModuleList(Encoder(config, width) for width in widths)
        self.hamiltonian = Hamiltonian(config)
        # No bias: the state is centred, and where a molecule lies means nothing.
        self.decoder = nn.Linear(d, 3, bias=False)

    def forward(self, graph: BondedGraph) -> EngineOutput:
        """Conformations of a batch of molecules."""
        q, p = self.start(graph)
        steps, eta = self.config.steps, self.config.step_size
        visited, p = self.hamiltonian.roll(graph, q, p, steps, eta)
        trajectory = self.decoder(torch.stack(visited))
        q = visited[-1]
        energies = self.hamiltonian.energies(graph, q, p)
        return EngineOutput(trajectory[-1], trajectory, q, p, energies)

    def predict(self, graph: BondedGraph) -> MolecularPrediction:
        """Conformations alone."""
        return MolecularPrediction(self(graph).trajectory, None, None)

    def start(self, graph: BondedGraph) -> tuple[Tensor, Tensor]:
        """State (q, p) before the first step, (N, d_f) each, centred by molecule."""
        strength = self.strength(graph)
        states = [encoder(graph, strength) for encoder in self.encoders]
        q, p = torch.cat(states, -1).chunk(2, dim=-1)
        return q, p
