"""Architecture of a HamNet model."""

from dataclasses import dataclass
from typing import Annotated, Literal

from ase_physml.errors import PotentialError
from ase_physml.models.architecture import Layers, Steps, Width
from ase_physml.models.bonded_model import BondedConfig
from ase_physml.typed import Range

Conformation = Literal["engine", "given", "none"]
Places = Literal["coordinates", "mlp"]

# What the weights of an engine mean depends on these.
ENGINE_FIELDS = (
    "atom_features", "edge_features", "state_width", "gcn_width", "gcn_layers", "steps",
    "step_size", "lstm", "bidirectional", "dissipation", "repo",
)  # fmt: skip


@dataclass(frozen=True)
class HamNetConfig(BondedConfig):
    """Every row of the paper's ablations is a switch, here or among the losses.

    Defaults are the paper's but for ``own_scores``, ``fingerprint`` and ``places``.

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
        own_scores: Each of them has a W_s of its own for its scores (paper); else they
            share that too (published code).
        pooling: Start of the readout, the "mean" over the atoms (paper), or
            their "sum": a mean cannot count, and attention is one.
        fingerprint: Width of the molecular fingerprint, 200 in the paper.
        targets: Properties of a molecule; 0 for conformations alone.
        head: "regression", "classification" (each target present or not) or
            "multiclass".
        classes: Classes of each target of a "multiclass" head.
        dropout: Between the layers of the generator; the engine has none.
        conformation: Geometry that the fingerprint sees: the "engine"'s positions and
            momenta, the molecule's "given" positions, or "none".
        places: Given positions as "coordinates", or through an "mlp" (paper).
        frozen_engine: Second stage of training: the engine stays as it is.
    """

    model_name = "HamNet"

    edge_features: Width = 10
    state_width: Width = 32
    gcn_width: Width = 128
    gcn_layers: Layers = 2
    steps: Steps = 20
    step_size: Annotated[float, Range(above=0.0)] = 0.025
    lstm: bool = True
    bidirectional: bool = False
    dissipation: bool = True
    repo: bool = False
    width: Width = 200
    layers: Layers = 2
    readouts: Layers = 2
    own_scores: bool = False
    fingerprint: Width = 256
    conformation: Conformation = "engine"
    places: Places = "coordinates"
    frozen_engine: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.places == "mlp" and self.conformation != "given":
            raise PotentialError(
                "places='mlp' is of positions that are given: set conformation='given'"
            )
        if self.bidirectional and not self.lstm:
            raise PotentialError("bidirectional=True needs an LSTM: set lstm=True")

    @property
    def reads_positions(self) -> bool:
        """Conformations are read, and not predicted."""
        return self.conformation == "given"
