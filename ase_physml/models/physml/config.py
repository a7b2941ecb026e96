"""Architecture of a PhysML model."""

from dataclasses import dataclass
from typing import Annotated, Literal

from ase_physml.errors import PotentialError
from ase_physml.models.architecture import Layers, Width
from ase_physml.models.energy_model import EnergyConfig
from ase_physml.models.physml.attention import Cls
from ase_physml.typed import Range

PairTerms = Literal["paper", "printed", "physical"]


@dataclass(frozen=True)
class PhysMLConfig(EnergyConfig):
    """Architecture of a PhysML model; every row of the paper's ablation is a switch.

    Attributes:
        elements: Atomic numbers the model knows, ascending.
        cutoff: Reach of attention in Å (tau).
        width: Feature width d.
        depth: Attention blocks L.
        heads: Attention heads H.
        n_basis: Radial basis functions n_b.
        alpha: Inner decay of the basis in 1/Å; 1 in the paper.
        cls: [CLS] token: "none", "one-way" (it reads the atoms) or "two-way" (they
            read it too; then energies of distant molecules no longer add up).
        cls_energy: Read an energy off [CLS] (the paper's "Base + CLS").
        pair_energy: Coulomb + Lennard-Jones terms (the paper's "LJP").
        pair_terms: "paper", whose charge products are free for each pair; "printed",
            the same by Eqs 5 and 6 to the letter: exponents from 0 on and nothing that
            keeps energies finite where atoms meet (set pair_cutoff to null too); or
            "physical": charges of atoms that add up to zero, with 1/d of any reach
            (Ewald's sum in cells), and wells that start at chemistry.
        pair_cutoff: Reach of the pair terms in Å; they fade over its last quarter. The
            learned charges of a molecule need not sum to zero, so that two of them far
            apart would repel or attract: farther than any pair of the training set the
            terms mean nothing. None for the paper's endless reach.
        atom_energy: Self-energies f_atom.
        angular: Channels of each attention head that know angles between neighbours, 0
            in the paper; four add a sixth to the time of a call by native code.
        a_mask: Gate attention by a bond graph, ``graph.bonded``, which who calls the
            model supplies: calculators and recipes have none, and refuse it.
        mam: Head for masked atomic modelling.
    """

    model_name = "PhysML"

    width: Annotated[int, Range(at_least=2, at_most=16_384)] = 128
    depth: Layers = 4
    heads: Width = 8
    n_basis: Annotated[int, Range(at_least=2, at_most=16_384)] = 32
    alpha: Annotated[float, Range(above=0.0)] = 1.0
    cls: Cls = "none"
    cls_energy: bool = False
    pair_energy: bool = True
    pair_terms: PairTerms = "paper"
    atom_energy: bool = True
    angular: Annotated[int, Range(at_least=0, at_most=256)] = 0
    a_mask: bool = False
    mam: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.heads:
            raise PotentialError(
                f"heads={self.heads} does not divide width={self.width}"
            )
        if self.cls_energy and self.cls == "none":
            raise PotentialError("cls_energy needs cls='one-way' or 'two-way'")
        if not (self.pair_energy or self.atom_energy or self.cls_energy):
            raise PotentialError("a PhysML model needs at least one energy term")

    @property
    def reach(self) -> float | None:
        """Distance in Å up to which atoms interact; None for any."""
        if not self.pair_energy:
            return self.cutoff
        return None if self.has_charges else self.pair_cutoff

    @property
    def has_charges(self) -> bool:
        """Atoms have charges, and structures dipoles."""
        return self.pair_energy and self.pair_terms == "physical"

    @property
    def reads_whole(self) -> bool:
        """Every atom counts for every other, through the [CLS] token."""
        return self.cls == "two-way" or self.cls_energy

    @property
    def not_extensive(self) -> str:
        """Reason why energies do not add up over the cells of a crystal, or ""."""
        if self.reads_whole:
            return (
                "reads the whole structure through its [CLS] token: the energy of a "
                "crystal would depend on the choice of its cell; use a potential "
                "without it (cls='none')"
            )
        if self.pair_energy and self.pair_cutoff is None:
            return (
                "has pair terms without a cutoff, whose sum over a crystal does not "
                "converge; use a potential that has a pair_cutoff"
            )
        return ""
