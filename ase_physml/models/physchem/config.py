"""Architecture of a PhysChem model: every variant of the paper is a switch."""

from dataclasses import dataclass
from typing import Annotated, Literal

from ase_physml.errors import PotentialError
from ase_physml.models.architecture import Layers, Width
from ase_physml.models.bonded_model import BondedConfig
from ase_physml.typed import Range

Variant = Literal[
    "physchem", "physnet", "chemnet", "chemnet_conformer", "chemnet_multitask"
]
Forces = Literal["paper", "bounded", "equivariant", "springs"]
Integrator = Literal["euler", "symplectic"]
Receiver = Literal["centre", "outer"]
Decoder = Literal["linear", "mlp"]
Blocks = Annotated[int, Range(at_least=1, at_most=256)]


@dataclass(frozen=True)
class PhysChemConfig(BondedConfig):
    """Architecture of a PhysChem model.

    Where the equations of paper and published code differ, the default is the paper's,
    but for ``bond_states``. Widths and depths are no paper's: they are what trains on a
    CPU.

    Attributes:
        variant: "physchem" learns conformations and properties together. "physnet"
            passes no messages: conformations alone. "chemnet" sees no geometry (q = 0),
            "chemnet_conformer" the positions of the graph, "chemnet_multitask" decodes
            positions from the atom states by ``decoder``.
        bond_states: Bonds have states e from their features; without, e = 0, as the
            paper has it for "physnet" alone (s.a.).
        decoder: Map from atom states to positions of "chemnet_multitask": "linear"
            (paper), or an "mlp" of one hidden layer.
        atom_features: Features of an atom, 39 (paper) or 34 (published code).
        bond_features: Features of a bond.
        atom_width: Width of atom states v.
        bond_width: Width of bond states e.
        molecule_width: Width of the fingerprint of a molecule.
        space: Generalised coordinates q of an atom, d_f; other than three they are
            decoded to positions by a matrix, and ChemNet reads lengths and angles of
            these.
        blocks: Blocks of dynamics and message passing, L.
        steps: Euler steps in each block, S.
        time_step: tau.
        global_layers: Attention layers of the readout, T; 2 in the published code.
        pooling: Start of the readout, the "mean" over the atoms (paper), or
            their "sum": a mean cannot count, and attention is one.
        shared: The blocks have their parameters in common, as in the published code.
        receiver: Who receives the message of a triplet: its "centre" (paper) or the
            "outer" atom (published code).
        forces: The law of PhysNet: "paper"; "bounded" by tanh and aware of atom states
            (published code); beyond the paper, both conserving momentum and moving with
            the frame: "equivariant", a learned function of the distance; "springs"
            that pull each pair to a learned distance, in a dozen steps or more.
        integrator: "euler", both updates from the old state (paper), or "symplectic",
            positions from the new momenta, which stays stable with stiffer forces.
        friction: Momentum lost in each step, from 0 (paper) to 1.
        pair_width: Width of the pair states of "equivariant" and "springs".
        pair_layers: Layers in which pairs learn from neighbouring pairs.
        targets: Properties of a molecule; 0 for conformations alone.
        head: "regression", "classification" (each target present or not) or
            "multiclass".
        classes: Classes of each target of a "multiclass" head.
        dropout: Dropout of messages and fingerprints, 0 to 1.
    """

    model_name = "PhysChem"

    variant: Variant = "physchem"
    bond_states: bool = True
    decoder: Decoder = "linear"
    bond_features: Width = 10
    atom_width: Width = 128
    bond_width: Width = 64
    molecule_width: Width = 256
    space: Width = 3
    blocks: Blocks = 2
    steps: Annotated[int, Range(at_least=1, at_most=10_000)] = 4
    time_step: Annotated[float, Range(above=0.0)] = 0.25
    global_layers: Blocks = 1
    shared: bool = True
    receiver: Receiver = "centre"
    forces: Forces = "paper"
    integrator: Integrator = "euler"
    friction: Annotated[float, Range(at_least=0.0, at_most=1.0)] = 0.0
    pair_width: Width = 64
    pair_layers: Layers = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.forces == "springs" and self.space != 3:
            raise PotentialError(
                f"springs pull to distances in Å: they need space=3, got {self.space}"
            )
        if self.variant == "physnet" and self.targets:
            raise PotentialError(
                "variant='physnet' predicts conformations alone: set targets=0, or "
                "variant='physchem'"
            )
        if self.passes_messages and not self.bond_states:
            raise PotentialError(
                "bond_states=False is for variant='physnet': without them ChemNet "
                "would not know one bond from another"
            )
        if self.variant in ("chemnet", "chemnet_conformer") and not self.targets:
            raise PotentialError(
                f"variant={self.variant!r} predicts properties alone: set targets"
            )

    @property
    def reads_positions(self) -> bool:
        """Conformations are read, and not predicted."""
        return self.variant == "chemnet_conformer"

    @property
    def moves(self) -> bool:
        """Positions come from PhysNet."""
        return self.variant in ("physchem", "physnet")

    @property
    def passes_messages(self) -> bool:
        """ChemNet updates atom and bond states."""
        return self.variant != "physnet"
