"""PhysChem and HamNet as ASE calculators: potentials of one molecule's bonds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import all_changes
from rdkit import Chem

from ase_physml.bonded_graph import BondedGraph
from ase_physml.calculators.base import (
    Parameter,
    ParametricCalculator,
    positive,
    truth,
)
from ase_physml.calculators.matching import match
from ase_physml.calculators.physnet_forces import PhysNetForces
from ase_physml.calculators.restraints import Array
from ase_physml.calculators.topology import Topology, distances_of
from ase_physml.chem.collate import collate
from ase_physml.chem.embed import embed_predicted
from ase_physml.chem.features import Order, check_elements, featurise
from ase_physml.chem.molecules import MoleculeStore
from ase_physml.errors import PotentialError
from ase_physml.models.bonded_model import BondedModel
from ase_physml.models.hamnet.model import engine_of
from ase_physml.models.physchem.model import PhysChem
from ase_physml.predictor import Predictor
from ase_physml.torch_state import plain_torch


def _hops(value: Any) -> int | None:
    """Bonds, or None for any number of them."""
    if value is not None and not (isinstance(value, int | np.integer) and value >= 1):
        raise ValueError("None or at least 1")
    return None if value is None else int(value)


class ConformationCalculator(ParametricCalculator):
    """A potential whose minimum is a predicted conformation.

    ``E = K/2 sum_ij C_ij (d_ij - D_ij)^2`` over pairs of heavy atoms: D_ij are the
    distances of the conformation that the model predicts, d_ij those of the structure,
    and C_ij = 1 within ``hops`` bonds (Conn-k of PhysChem Eq 12, without the weights
    that make it a mean). The models know no hydrogens: their pairs, and pairs of
    different fragments, are held by the same springs within the bounds of RDKit's
    distance geometry, on whose account energies of real structures are not quite zero
    at the minimum. Structures without hydrogens, the heavy atoms alone, are welcome.

    E is a restraint and no electronic energy: it is zero where the structure agrees
    with the prediction, and compares nothing but structures of one molecule. It depends
    on distances alone, so translations and rotations do not change it, and forces are
    its exact gradient. Mirror images have one energy: a relaxation ends in the
    handedness it starts from, a random start in either, or, in a larger molecule, in a
    local minimum where one stereocentre is turned round. Nor do models get every
    diastereomer right: the minimum can be another one than the SMILES says.
    `conformation` has the stereochemistry of the SMILES; if its energy stays well above
    zero when it is relaxed, the prediction has not.

    Results: ``energy`` and ``free_energy`` (equal, eV), ``forces`` (eV/Å), and
    ``properties``, a dict of what the model predicts for the molecule by name, in the
    units of its card, probabilities for classes; empty for a model of conformations.

    ``stiffness``, ``hops`` and ``check_bonds`` may be changed, by `set` as well; ASE's
    other parameters are not there, and refused.

    Args:
        model: Name of a shipped model, path of one, or a module.
        smiles: The molecule. Atoms come in the order of the SMILES, then the hydrogens
            atom by atom, as RDKit's AddHs has them.
        mol: The molecule, instead; hydrogens that it lacks come last.
        like: A structure, all atoms at ordinary distances; atoms are then in its
            order, found by matching its bonds with the graph.
        stiffness: K, eV/Å^2, of every spring. It scales energies and forces and moves
            no minimum; single bonds between carbons have about 30.
        hops: Bonds within which C_ij = 1; None for all pairs of a fragment. With 2
            torsions are free, with 3 their signs.
        check_bonds: Refuse broken bonds (1.6 times their length) and new ones (nearer
            than 1.1 times the sum of covalent radii): whoever calls has another
            molecule, or an explosion. For a start from anywhere, pass False.

    Raises:
        PotentialError: The model cannot be used.
        DataError: The molecule cannot be used.
        StructureError: On calculation, for a structure that is not this molecule.
    """

    implemented_properties = ["energy", "free_energy", "forces", "properties"]  # noqa: RUF012
    nolabel = True
    stiffness = Parameter(positive)
    hops = Parameter(_hops)
    check_bonds = Parameter(truth)

    @plain_torch()
    def __init__(
        self,
        model: str | Path | BondedModel,
        *,
        smiles: str | None = None,
        mol: Chem.Mol | None = None,
        like: Atoms | None = None,
        stiffness: float = 5.0,
        hops: int | None = None,
        check_bonds: bool = True,
    ) -> None:
        super().__init__()
        self.stiffness, self.hops, self.check_bonds = stiffness, hops, check_bonds
        predictor = Predictor.of(model)
        predictor.model.double()
        self.potential, self.card = predictor.name, predictor.card
        self.graph = Topology.of(smiles, mol)
        order = cast(Order, predictor.card.order)
        molecule = featurise(self.graph.molecule, order=order)
        check_elements(molecule, predictor.card.elements, self.potential)
        read = collate(MoleculeStore.of([molecule]), predictor.variant)
        read = read.to(torch.float64)
        said = predictor(read)
        if said.trajectory is None:
            raise PotentialError(
                f"{predictor.name} predicts no conformation; use a model that does, or "
                "`physml predict` for its properties"
            )
        found = said.trajectory[-1].numpy()
        self._place(found, read)
        if like is not None:
            read = self._follow(like, read)
            self._place(found, read)
        self.properties: dict[str, float] = {}
        if said.property is not None:
            values = predictor.table(said)[0].tolist()
            self.properties = dict(zip(predictor.columns, values, strict=True))
        self._learn_extras(predictor.first, read)

    def set(self, **changes: Any) -> dict[str, Any]:
        """Change parameters; see `ParametricCalculator.set`."""
        changed = super().set(**changes)
        if "hops" in changed and "heavy_positions" in vars(self):
            self.restraints = self.graph.restraints(self.heavy_positions, self.hops)
        return changed

    def _place(self, positions: Array, read: BondedGraph) -> None:
        """Keep a conformation in the order of the structures, and what follows."""
        self.heavy_positions: Array = np.empty_like(positions)
        self.heavy_positions[read.input_index.numpy()] = positions
        self.restraints = self.graph.restraints(self.heavy_positions, self.hops)

    def _follow(self, like: Atoms, read: BondedGraph) -> BondedGraph:
        """Take over the order of a structure, without asking the model again.

        It tells equivalent atoms apart by their order: its answer would be another one.
        """
        order = match(self.graph.molecule, self.restraints, like)
        heavy = self.graph.heavy
        self.graph = self.graph.renumbered(order)
        place = torch.from_numpy(np.searchsorted(self.graph.heavy, order[heavy]))
        return replace(read, input_index=place[read.input_index])

    def _learn_extras(self, model: BondedModel, graph: BondedGraph) -> None:
        """Prepare `_extras`; graph and model are in float64."""

    def _extras(self, heavy_positions: Array) -> dict[str, Any]:
        """Results of this kind of model alone."""
        return {}

    @property
    def predicted_distances(self) -> Array:
        """D_ij between heavy atoms, in their order in the structure, Å (n, n)."""
        return distances_of(self.heavy_positions)

    def conformation(self, seed: int = 0) -> Atoms:
        """The molecule as predicted, with hydrogens and the handedness of its graph.

        RDKit's distance geometry within the predicted distances: R and S, E and Z are
        those of the SMILES, where a relaxation from a random start may give the mirror
        image. The atoms have no calculator.

        Args:
            seed: Seed of the embedding.

        Raises:
            DataError: No geometry with these bonds and this stereochemistry is found.
        """
        heavy, n = self.graph.heavy, len(self.graph.numbers)
        wanted = np.full((n, n), np.nan)
        wanted[np.ix_(heavy, heavy)] = self.predicted_distances
        np.fill_diagonal(wanted, np.nan)
        positions = embed_predicted(self.graph.molecule, wanted, seed)
        return Atoms(numbers=self.graph.numbers, positions=positions)

    @plain_torch()
    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """ASE's entry: all results at once."""
        super().calculate(atoms, list(properties), list(system_changes))
        assert self.atoms is not None
        chosen = self.graph.atoms_of(self.atoms)
        self.graph.check_electrons(self.atoms)
        restraints = self.restraints.among(chosen)
        if self.check_bonds:
            self.graph.check_bonds(self.atoms, restraints, chosen)
        positions = self.atoms.positions
        energy, forces = restraints.energy_and_forces(positions, self.stiffness)
        heavy = np.flatnonzero(self.atoms.numbers != 1)
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": forces,
            "properties": dict(self.properties),
            **self._extras(positions[heavy]),
        }

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """Entry of trajectories for the calculator."""
        return {
            "potential": self.potential,
            "smiles": self.graph.name,
            "stiffness": self.stiffness,
        }


class PhysChemCalculator(ConformationCalculator):
    """A `ConformationCalculator` with a model of PhysChem.

    Where its atoms move in three dimensions, as those of the shipped models do, there
    is one more result, ``physnet_forces`` (N, 3): the learned forces of PhysNet at the
    positions of the structure, in units of the model's own (masses of 50 u, learned
    time), zero for hydrogens, which it does not know. They are no gradient of anything:
    the paper's law depends on how the molecule lies in space, springs do not.
    """

    implemented_properties = [  # noqa: RUF012
        *ConformationCalculator.implemented_properties,
        "physnet_forces",
    ]

    def _learn_extras(self, model: BondedModel, graph: BondedGraph) -> None:
        if not isinstance(model, PhysChem):
            raise PotentialError(f"{self.potential} is a HamNet: use HamNetCalculator")
        self.physnet: PhysNetForces | None = None
        if model.config.moves and model.config.space == 3:
            self.physnet = PhysNetForces(model, graph)

    def _extras(self, heavy_positions: Array) -> dict[str, Any]:
        if self.physnet is None:
            return {}
        assert self.atoms is not None
        forces = np.zeros((len(self.atoms), 3))
        forces[self.atoms.numbers != 1] = self.physnet(heavy_positions)
        return {"physnet_forces": forces}


class HamNetCalculator(ConformationCalculator):
    """A `ConformationCalculator` with a model of HamNet.

    The engine's own potential U is no potential of a structure in space. It is a
    function of learned coordinates q of d_f = 32 dimensions, of which a structure shows
    three; nor would d_f = 3 do, since distances in q are measured after a learned
    matrix, in which rotations change them. So forces come from the predicted
    conformation here too, and one more result, ``engine_energies``, is what the engine
    says of its own last state: a dict of ``kinetic``, ``potential`` and ``dissipation``
    in its own units, the same for every structure of the molecule.
    """

    implemented_properties = [  # noqa: RUF012
        *ConformationCalculator.implemented_properties,
        "engine_energies",
    ]

    def _learn_extras(self, model: BondedModel, graph: BondedGraph) -> None:
        engine = engine_of(model)
        if engine is None:
            raise PotentialError(
                f"{self.potential} has no Hamiltonian engine: use "
                "PhysChemCalculator, or a HamNet with one"
            )
        with torch.no_grad():
            energies = engine(graph).energies
        self.engine_energies = {
            name: value.item() for name, value in energies._asdict().items()
        }

    def _extras(self, heavy_positions: Array) -> dict[str, Any]:
        return {"engine_energies": dict(self.engine_energies)}
