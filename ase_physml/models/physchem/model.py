"""PhysChem: conformations and properties of molecules from their bonds.

"Deep Molecular Representation Learning via Fusing Physical and Chemical Information"
(NeurIPS 2021). PhysNet moves the atoms under learned forces, ChemNet passes messages
that see the geometry; each block hands its positions to ChemNet and its states to
PhysNet.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ase_physml.bonded_graph import BondedGraph
from ase_physml.errors import DataError
from ase_physml.models.architecture import Architecture
from ase_physml.models.bonded_model import BondedModel, MolecularPrediction
from ase_physml.models.physchem.chemnet import BondUpdate, ChemNet
from ase_physml.models.physchem.config import PhysChemConfig
from ase_physml.models.physchem.initialiser import FirstPositions, FirstStates
from ase_physml.models.physchem.pair_laws import EquivariantLaw, SpringLaw
from ase_physml.models.physchem.physnet import BoundedLaw, Motion, PaperLaw, PhysNet
from ase_physml.models.physchem.readout import Readout
from ase_physml.models.property_head import PropertyHead


class PhysChemOutput(NamedTuple):
    """Predictions for N atoms in M molecules.

    Attributes:
        trajectory: Positions before the first and after each step, Å, (N, 3) each;
            empty where the model predicts none.
        positions: The last of them, or None. Frame and handedness are arbitrary.
        property: Properties in the units of the targets, or logits, (M, targets), or
            (M, targets, classes) of a multiclass head; None without targets.
        atoms: Atom states, (N, atom_width).
        molecules: Fingerprints, (M, molecule_width), or None without targets.
        forces: Forces of PhysNet in its last step, (N, space), or None.
        distances: Distances of the pairs that the springs aim at, Å, (P,), or None.
    """

    trajectory: list[Tensor]
    positions: Tensor | None
    property: Tensor | None
    atoms: Tensor
    molecules: Tensor | None
    forces: Tensor | None
    distances: Tensor | None


class PhysChem(BondedModel):
    """All variants of the paper behind one forward pass."""

    def __init__(self, config: PhysChemConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        self.first_states = FirstStates(
            c.atom_features, c.bond_features, c.atom_width, c.bond_width
        )
        n_own = 1 if c.shared else c.blocks
        self.first_positions = self.decoder = self.coordinates = None
        if c.moves:
            self.first_positions = FirstPositions(
                c.atom_width, c.bond_features, c.space
            )
            if c.space != 3:
                self.decoder = nn.Linear(c.space, 3, bias=False)
        if c.variant == "chemnet_multitask":
            self.coordinates = _coordinates(c)
        self.physnets = nn.ModuleList(_physnet(c) for _ in range(n_own * c.moves))
        self.chemnets = nn.ModuleList(
            ChemNet(c.atom_width, c.bond_width, c.receiver, c.dropout)
            for _ in range(n_own * c.passes_messages)
        )
        # The bond states that the last block would leave, nobody reads.
        self.bond_updates = nn.ModuleList(
            BondUpdate(c.atom_width, c.bond_width)
            for _ in range(min(n_own, c.blocks - 1) * c.passes_messages)
        )
        self.readout = self.head = None
        if c.targets:
            self.readout = Readout(
                c.atom_width, c.molecule_width, c.global_layers, c.pooling
            )
            self.head = PropertyHead(
                c.molecule_width, c.targets, c.head, c.classes, c.dropout
            )

    def forward(self, graph: BondedGraph) -> PhysChemOutput:
        """Predict the conformation and the properties of each molecule.

        Raises:
            DataError: The features of the graph are not those of the model, or it has
                no positions where the model reads them.
        """
        self._check(graph)
        v, e = self.first_states(graph)
        if not self.config.bond_states:
            e = torch.zeros_like(e)
        q, p = self._start(graph, v)
        path, motion = [q], None
        for block in range(self.config.blocks):
            before = v, e, q
            if self.physnets:
                physnet = self.physnets[block % len(self.physnets)]
                motion = physnet(graph, *before, p)
                q, p = motion.path[-1], motion.momenta
                path += motion.path
            if self.chemnets:
                v, e = self._pass_messages(block, graph, *before)
        return self._output(graph, v, path, motion)

    def predict(self, graph: BondedGraph) -> MolecularPrediction:
        """Conformations, distances, properties and fingerprints."""
        found = self(graph)
        path = torch.stack(found.trajectory) if found.trajectory else None
        return MolecularPrediction(
            path, found.distances, found.property, found.molecules
        )

    def _pass_messages(
        self, block: int, graph: BondedGraph, v: Tensor, e: Tensor, q: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Atom and bond states after a block that starts from positions q."""
        x = q if self.decoder is None else self.decoder(q)
        v, lengths = self.chemnets[block % len(self.chemnets)](graph, v, e, x)
        if block == self.config.blocks - 1:
            return v, e
        update = self.bond_updates[block % len(self.bond_updates)]
        return v, update(graph, v, e, lengths)

    def _check(self, graph: BondedGraph) -> None:
        for kind, features, expected in (
            ("atom", graph.atom_features, self.config.atom_features),
            ("bond", graph.edge_features, self.config.bond_features),
        ):
            if features.shape[1] != expected:
                raise DataError(
                    f"the model reads {expected} features per {kind}, the graph has "
                    f"{features.shape[1]}: build it with the features of the model"
                )

    def _start(self, graph: BondedGraph, v: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates and momenta before the first block."""
        if self.first_positions is not None:
            q, p = self.first_positions(graph, v)
            return q, p
        nowhere = v.new_zeros(len(v), 3)
        if self.config.variant != "chemnet_conformer":
            return nowhere, nowhere
        if graph.positions is None:
            raise DataError(
                "variant='chemnet_conformer' reads positions: give the graph a "
                "conformation"
            )
        return graph.positions, nowhere

    def _output(
        self,
        graph: BondedGraph,
        v: Tensor,
        path: list[Tensor],
        motion: Motion | None,
    ) -> PhysChemOutput:
        trajectory = []
        if self.coordinates is not None:
            trajectory = [self.coordinates(v)]
        elif motion is not None:
            trajectory = path if self.decoder is None else [*map(self.decoder, path)]
        molecules = None if self.readout is None else self.readout(graph, v)
        return PhysChemOutput(
            trajectory=trajectory,
            positions=trajectory[-1] if trajectory else None,
            property=None if self.head is None else self.head(molecules),
            atoms=v,
            molecules=molecules,
            forces=None if motion is None else motion.forces,
            distances=None if motion is None else motion.distances,
        )


def _coordinates(c: PhysChemConfig) -> nn.Module:
    """Map from atom states to positions, (N, atom_width) to (N, 3)."""
    if c.decoder == "linear":
        return nn.Linear(c.atom_width, 3)
    hidden = nn.Linear(c.atom_width, c.atom_width), nn.SiLU()
    return nn.Sequential(*hidden, nn.Linear(c.atom_width, 3))


def _physnet(c: PhysChemConfig) -> PhysNet:
    return PhysNet(_law(c), c.steps, c.time_step, c.integrator, c.friction)


def _law(c: PhysChemConfig) -> nn.Module:
    if c.forces == "paper":
        return PaperLaw(c.bond_width, c.space)
    if c.forces == "bounded":
        return BoundedLaw(c.atom_width, c.bond_width, c.space)
    pairs = (c.atom_width, c.bond_width, c.pair_width, c.pair_layers)
    if c.forces == "equivariant":
        return EquivariantLaw(*pairs)
    return SpringLaw(*pairs, time_step=c.time_step)


PHYSCHEM = Architecture("physchem", "bonds", PhysChemConfig, PhysChem)
