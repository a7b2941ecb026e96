"""Architecture of a HamNet model."""

from dataclasses import dataclass
from typing import Literal

from ase_physml.errors import PotentialError
from ase_physml.models.architecture import Architecture
from ase_physml.models.pooling import Pooling
from ase_physml.models.property_head import Head

Conformation = Literal["engine", "given", "none"]

_CHOICES = {"conformation": Conformation, "pooling": Pooling, "head": Head}

# What the weights of an engine mean depends on these.
ENGINE_FIELDS = (
    "atom_features", "edge_features", "state_width", "gcn_width", "gcn_layers", "steps",
    "step_size", "lstm", "bidirectional", "dissipation", "repo",
)  # fmt: skip


@dataclass(frozen=True)
class HamNetConfig(Architecture):
    """Every row of the paper's ablations is a switch (Tables 1 and 2).

    Attributes:
        atom_features: Width of the atom features, 39 or 34.
        edge_features: Width of the bond features.
        state_width: Dimensions d_f of positions q and momenta p.
        gcn_width: Width of each graph convolution of the engine.
        gcn_layers: Graph convolutions of the engine.
        steps: Time steps T; none is the paper's row "w/o dynamics".
        step_size: Time step eta.
        lstm: Read the atoms in canonical order; else a linear layer ("w/o LSTM").
        bidirectional: Read them in reverse order as well (not in the paper).
        dissipation: Rayleigh's dissipation; else "w/o Phi".
        repo: The engine of the authors' code instead of their paper's: one encoder for
            q and p, unnormalised bond strengths, energies without the factors 1/2,
            masses and a bias in the potential.
        width: Atom and bond width of the fingerprint generator.
        layers: Message-passing layers L.
        readouts: Iterations M of the readout, which share their weights.
        pooling: What the readout starts from, the "mean" over the atoms (paper), or
            their "sum": a mean cannot count, and attention is one.
        fingerprint: Width of the molecular fingerprint.
        targets: Properties of a molecule; 0 for conformations alone.
        head: "regression", "classification" (each target present or not) or
            "multiclass".
        classes: Classes of each target of a "multiclass" head.
        dropout: Between the layers of the generator; the engine has none.
        conformation: What the fingerprint sees of space: the "engine"'s positions and
            momenta, the molecule's "given" positions, or "none".
        frozen_engine: Second stage of training: the engine stays as it is.
    """

    of = "HamNet"

    atom_features: int = 39
    edge_features: int = 10
    state_width: int = 32
    gcn_width: int = 128
    gcn_layers: int = 2
    steps: int = 20
    step_size: float = 0.025
    lstm: bool = True
    bidirectional: bool = False
    dissipation: bool = True
    repo: bool = False
    width: int = 200
    layers: int = 2
    readouts: int = 2
    pooling: Pooling = "mean"
    fingerprint: int = 256
    targets: int = 0
    head: Head = "regression"
    classes: int = 4
    dropout: float = 0.0
    conformation: Conformation = "engine"
    frozen_engine: bool = False

    def __post_init__(self) -> None:
        self.check_choices(_CHOICES)
        for name in (
            "atom_features", "edge_features", "state_width", "gcn_width", "width",
            "fingerprint",
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise PotentialError(f"{name} must be at least 1")
        for name in ("gcn_layers", "steps", "layers", "readouts", "targets"):
            if getattr(self, name) < 0:
                raise PotentialError(f"{name} must not be negative")
        if self.bidirectional and not self.lstm:
            raise PotentialError("bidirectional=True needs an LSTM: set lstm=True")
        if self.step_size <= 0:
            raise PotentialError(f"step_size must be positive, got {self.step_size}")
        if not 0 <= self.dropout < 1:
            raise PotentialError(f"dropout must be in [0, 1), got {self.dropout}")
