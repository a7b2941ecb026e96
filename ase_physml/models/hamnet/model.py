"""HamNet: conformations and properties from a learned Hamiltonian (ICLR 2021).

"HamNet: Conformation-Guided Molecular Representation with Hamiltonian Neural
Networks". Two stages: the engine learns conformations; then it is frozen, and the
fingerprint generator learns properties from where it leaves the atoms.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ase_physml.bonded_graph import BondedGraph
from ase_physml.errors import DataError
from ase_physml.models.architecture import Architecture
from ase_physml.models.bonded_model import BondedModel, MolecularPrediction
from ase_physml.models.hamnet.config import HamNetConfig
from ase_physml.models.hamnet.encoder import centred
from ase_physml.models.hamnet.engine import HamNetEngine
from ase_physml.models.hamnet.fingerprint import FingerprintGenerator
from ase_physml.models.property_head import PropertyHead


class HamNetOutput(NamedTuple):
    """Output of HamNet for a batch of molecules.

    Attributes:
        positions: Conformation, Å, shape (N, 3): the engine's, the given one as it
            came, or None without any.
        property: Output of `PropertyHead`, or None without targets.
        fingerprint: Shape (M, fingerprint).
    """

    positions: Tensor | None
    property: Tensor | None
    fingerprint: Tensor


class HamNet(BondedModel):
    """Engine, fingerprint generator and a linear head.

    With ``conformation="given"`` the generator sees raw coordinates, as in the paper's
    row "real conformation", which maps them by an MLP: predictions then depend on how
    the molecules are turned.
    """

    def __init__(self, config: HamNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = {"engine": 2 * config.state_width, "given": 3, "none": 1}
        self.places = None
        if config.places == "mlp":
            widths["given"] = 2 * config.state_width
            self.places = nn.Sequential(
                nn.Linear(3, config.width),
                nn.LeakyReLU(),
                nn.Linear(config.width, widths["given"]),
            )
        with_engine = config.conformation == "engine"
        self.engine = HamNetEngine(config) if with_engine else None
        self.generator = FingerprintGenerator(config, widths[config.conformation])
        self.head = None
        if config.targets:
            self.head = PropertyHead(
                config.fingerprint,
                config.targets,
                config.head,
                config.classes,
                config.dropout,
            )
        if self.engine is not None and config.frozen_engine:
            self.engine.requires_grad_(False)

    def forward(self, graph: BondedGraph) -> HamNetOutput:
        """Conformations, fingerprints and properties of a batch of molecules.

        Raises:
            DataError: The model reads given positions and there are none.
        """
        positions, places = self._places(graph)
        fingerprint = self.generator(graph, places)
        found = None if self.head is None else self.head(fingerprint)
        return HamNetOutput(positions, found, fingerprint)

    def predict(self, graph: BondedGraph) -> MolecularPrediction:
        """Conformations, properties and fingerprints."""
        found = self(graph)
        path = None if found.positions is None else found.positions[None]
        return MolecularPrediction(path, None, found.property, found.fingerprint)

    def _places(self, graph: BondedGraph) -> tuple[Tensor | None, Tensor]:
        """Conformation, and what the generator sees of it, (N, c)."""
        if self.config.conformation == "none":
            # All atoms in one place: every difference is zero.
            return None, torch.zeros_like(graph.atom_features[:, :1])
        if self.engine is None:
            if graph.positions is None:
                raise DataError(
                    "this HamNet reads given conformations and the molecules have "
                    "none: give positions"
                )
            places = centred(graph, graph.positions)
            return graph.positions, places if self.places is None else self.places(
                places
            )
        learning = torch.is_grad_enabled() and not self.config.frozen_engine
        with torch.set_grad_enabled(learning):
            found = self.engine(graph)
        return found.positions, torch.cat([found.q, found.p], -1)


def build_hamnet(config: HamNetConfig) -> BondedModel:
    """A HamNet; without targets, its engine alone."""
    return HamNet(config) if config.targets else HamNetEngine(config)


def engine_of(model: BondedModel) -> HamNetEngine | None:
    """Engine of a HamNet, or an engine itself."""
    found = model.engine if isinstance(model, HamNet) else model
    return found if isinstance(found, HamNetEngine) else None


HAMNET = Architecture("hamnet", "bonds", HamNetConfig, build_hamnet)
