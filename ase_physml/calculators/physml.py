"""PhysML as an ASE calculator."""

from collections.abc import Iterable, Sequence
from copy import copy
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError, all_changes

from ase_physml.calculators.advice import Advice
from ase_physml.calculators.base import Parameter, ParametricCalculator, number
from ase_physml.calculators.baseline import Baseline
from ase_physml.calculators.batching import (
    ATOMS_NATIVE,
    batches_of,
    evaluate_in_threads,
    native_batches_of,
    tensors_of,
)
from ase_physml.calculators.checks import (
    COINCIDENT,
    check_apart,
    check_distances,
    check_extensive,
    check_lattice,
    check_neutral_singlet,
    check_open,
    check_structure,
    check_whole,
    warn_of_cells,
)
from ase_physml.calculators.coverage import Coverage
from ase_physml.calculators.parts import unlinked_atoms
from ase_physml.calculators.spread import SPREADS, Calibration, Results, results_of
from ase_physml.data.conversion import has_stress
from ase_physml.errors import PotentialError
from ase_physml.graph import AllPairs, AtomGraph, PeriodicEdgeList
from ase_physml.models.energy_model import EnergyModel
from ase_physml.models.physml.model import PhysML
from ase_physml.models.physml.pair_energy import PairParameters
from ase_physml.neighbours import Search, VerletList, images_within
from ase_physml.potential import LoadedPotential, Model
from ase_physml.store.card import ModelCard
from ase_physml.torch_state import plain_torch


class PhysMLCalculator(ParametricCalculator):
    """Energies, forces and stress of molecules and crystals from a PhysML potential.

    Results: ``energy`` and ``free_energy`` (equal, eV), ``energies`` (eV per atom) and
    ``forces`` (eV/Å), and of periodic structures with a volume ``stress`` (6,) (Voigt,
    eV/Å^3), NumPy float64. Energies are totals at the potential's level of theory.
    Molecules are neutral and closed-shell, periodic structures neutral. Copies of a
    calculator share its weights, so that every image of a path can have its own.
    ``charge`` and ``spin`` may be changed, by `set` as well; ASE's other parameters are
    not there, and refused.

    A committee gives the mean of its members, and of their spread ``energy_std`` (eV),
    ``forces_std`` (N, 3) (eV/Å) and ``energy_members`` (K,), in ``results`` and through
    `get_property`; see `Calibration` for their scale.

    A potential that is a correction to a baseline, such as GFN2-xTB, gives the sum of
    both, and what only the baseline has of ``charges`` (e) and ``dipole`` (e Å). Its
    calculator is built with this one, and takes most of the time.

    Cells may be of any shape and size, periodic along one, two or three directions.
    Their pair terms fade out at the potential's ``pair_cutoff``. So do the Coulomb
    terms of the paper, products of charges that are free for each pair; charges of
    atoms, of potentials that have them (``pair_terms: physical``), give ``charges`` and
    ``dipole``, reach as far as 1/d does, and interact by Ewald's sum in cells that are
    periodic along all three directions.

    Args:
        model: Name of a shipped potential ("qm9.pt"), path of one, or a PhysML module;
            several of them are a committee.
        device: "auto" (CUDA where there is one), or a torch device.
        dtype: "float64", which optimisers want, or "float32".
        charge: Total charge in e, unless the structure says otherwise; only 0 works.
        spin: Multiplicity 2S+1, unless the structure says otherwise; only 1 works.
        compiled: Fuse energies and forces into compiled kernels. Takes a minute or two
            and a C++ compiler at the first evaluation, seconds when a later process
            finds the kernels again; up to twice as fast from then on. For dynamics and
            large batches of molecules up to 100 atoms; others are computed as ever.
        skin: How far in Å beyond the cutoffs neighbours of a periodic structure are
            listed, to find them again only when atoms have moved by half as much. It
            changes no result.
        backend: "auto" evaluates on a CPU by native code, several times faster for
            small molecules and equal to torch within 1e-6 eV and eV/Å, where the
            potential is one that it knows; "native" by it or not at all, "torch"
            without it.

    Raises:
        PotentialError: The potential cannot be loaded, the device cannot do dtype, or
            the backend not the potential.
        StructureError: On calculation, for input that the potential cannot treat.
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012
    nolabel = True
    charge = Parameter(number)
    spin = Parameter(number)

    def __init__(
        self,
        model: Model | Sequence[Model] = "qm9.pt",
        *,
        device: str = "auto",
        dtype: Literal["float64", "float32"] = "float64",
        charge: float = 0,
        spin: float = 1,
        compiled: bool = False,
        skin: float = 0.5,
        backend: Literal["auto", "native", "torch"] = "auto",
    ) -> None:
        super().__init__()
        if compiled and backend == "native":
            raise PotentialError("compiled=True is for backend='torch', not 'native'")
        self.loaded = LoadedPotential.open(model, device, dtype, backend)
        self.charge, self.spin = charge, spin
        self.compiled = compiled
        if not skin >= 0.0:
            raise PotentialError(f"skin must be 0 Å or more, got {skin}")
        self.neighbours = VerletList(skin)
        self.baseline: Baseline | None = None
        if self.card is not None and self.card.baseline:
            self.baseline = Baseline(self.card.baseline)
        not_for = tuple(self.card.not_for) if self.card is not None else ()
        self.advice = Advice(self.potential, not_for)
        self.coverage = Coverage(self.card, self.advice)
        spread = self.card.uncertainty if self.card is not None else {}
        self.calibration = Calibration.of_card(spread)
        if self.is_committee:
            self.implemented_properties = [*self.implemented_properties, *SPREADS]
        if all(member.config.has_charges for member in self.members):
            own = self.implemented_properties
            self.implemented_properties = [*own, "charges", "dipole"]
        if self.baseline is not None:
            own = self.implemented_properties
            self.implemented_properties = self.baseline.implemented(own)
        self.evaluations = 0
        self.seconds = 0.0

    @property
    def members(self) -> tuple[EnergyModel, ...]:
        """Models whose mean it gives, most often a single one."""
        return self.loaded.members

    @property
    def model(self) -> EnergyModel:
        """The first member."""
        return self.members[0]

    @property
    def card(self) -> ModelCard | None:
        """Metadata of the potential; None of a module."""
        return self.loaded.card

    @property
    def potential(self) -> str:
        """Name of the potential, in messages and files."""
        return self.loaded.name

    @property
    def sources(self) -> tuple[Path, ...]:
        """Files of the potential, absolute; none of a module."""
        return self.loaded.sources

    @property
    def hashes(self) -> tuple[str, ...]:
        """SHA-256 of each file."""
        return self.loaded.hashes

    @property
    def device(self) -> torch.device:
        """Device that the weights are on."""
        return self.loaded.device

    @property
    def dtype(self) -> str:
        """Precision: "float32" or "float64"."""
        return self.loaded.dtype

    @property
    def is_committee(self) -> bool:
        """Results have a spread."""
        return len(self.members) > 1

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """ASE's entry: all properties at once, since forces cost as much as they do.

        Raises:
            PropertyNotImplementedError: The stress of what has none.
        """
        super().calculate(atoms, list(properties), list(system_changes))
        assert self.atoms is not None
        self.advice.warn_of_vibrations()
        if "stress" in properties and not has_stress(self.atoms):
            raise PropertyNotImplementedError(
                "stress is of periodic structures whose three lattice vectors span a "
                f"volume, not of pbc={self.atoms.pbc} and cell={self.atoms.cell}"
            )
        self.results = self._evaluate([self.atoms], self.neighbours)[0]

    def calculate_many(
        self, structures: Sequence[Atoms], batch_size: int | None = None
    ) -> list[Results]:
        """Evaluate structures together, as many in a pass as the device likes.

        A structure whose own calculator is a copy of this one gets its results
        filled in, so that ASE finds them there and computes nothing again.

        Args:
            structures: Any sizes, any composition that the potential knows.
            batch_size: Structures at a time; all of them by default.

        Returns:
            Results of each structure, as `calculate` would give them.

        Raises:
            StructureError: Naming the first structure that cannot be treated.
        """
        size = batch_size or max(1, len(structures))
        results: list[Results] = []
        for start in range(0, len(structures), size):
            results += self._evaluate(structures[start : start + size])
        for atoms, result in zip(structures, results, strict=True):
            calc = atoms.calc
            if isinstance(calc, PhysMLCalculator) and self._is_like(calc):
                calc.atoms = atoms.copy()
                calc.results = dict(result)
        return results

    def _is_like(self, other: "PhysMLCalculator") -> bool:
        """Whether results of this one are those of the other."""
        same = self.members == other.members and self.dtype == other.dtype
        return same and self.parameters == other.parameters

    @plain_torch()
    def pair_parameters(self, atoms: Atoms) -> PairParameters:
        """Learned charge product, depth, exponent and distance of each pair.

        Those of the first member, if there are several.

        Returns:
            Tensors (N, N), symmetric; the diagonal means nothing.

        Raises:
            StructureError: A periodic structure, in which pairs are not of two atoms.
        """
        self.check(atoms)
        check_open(atoms, "pair_parameters")
        if not isinstance(self.model, PhysML):
            raise PotentialError(f"{self.potential} is no PhysML: it has no such pairs")
        numbers, positions, *_ = tensors_of([atoms], self.device, self.dtype)
        with torch.no_grad():
            found = self.model.pair_parameters(AllPairs(numbers[None], positions[None]))
        return PairParameters(*(value[0].cpu() for value in found))

    def info(self) -> dict[str, Any]:
        """Where the potential comes from, and what it has done so far."""
        return {
            "potential": " + ".join(map(str, self.sources)) or "module",
            "members": len(self.members),
            "device": str(self.device),
            "dtype": self.dtype,
            "evaluations": self.evaluations,
            "seconds": self.seconds,
        }

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """What trajectories store of the calculator."""
        return {"potential": self.potential, "dtype": self.dtype}

    def _evaluate(
        self, structures: Sequence[Atoms], search: Search = images_within
    ) -> list[Results]:
        start = perf_counter()
        native = not self.compiled and self.loaded.is_native
        for atoms in structures:
            self._check(atoms, distances=not native)
            self.coverage.look_at(atoms)
        if not structures:
            return []
        results: list[Results] = [{} for _ in structures]
        passes: Iterable[list[int]]
        if native:
            passes = self._evaluate_natively(structures, results)
        else:
            passes = batches_of(structures, self.device, self.compiled)
        for indices in passes:
            some = self._evaluate_pass([structures[index] for index in indices], search)
            for index, result in zip(indices, some, strict=True):
                results[index] = result
        if self.baseline is not None:
            results = self.baseline.add_to(results, structures)
        self.evaluations += 1
        self.seconds += perf_counter() - start
        return results

    def _evaluate_natively(
        self, structures: Sequence[Atoms], results: list[Results]
    ) -> list[list[int]]:
        """Fill the results of small molecules; what is left, each on its own."""
        threads = torch.get_num_threads()
        passes, rest = native_batches_of(structures, threads)
        batches = [[structures[index] for index in some] for some in passes]
        answers = evaluate_in_threads(self.loaded, batches, threads)
        for indices, some, found in zip(passes, batches, answers, strict=True):
            if found is None:
                rest += indices
                continue
            if found.shortest < COINCIDENT:
                for atoms in some:
                    check_distances(atoms)
            if found.alone >= 0:
                self._warn_of_parts(0, found.alone)
            said = results_of(some, found.members, self.calibration)
            for index, result in zip(indices, said, strict=True):
                results[index] = result
        return [[index] for index in rest]

    @plain_torch()
    def _evaluate_pass(
        self, structures: Sequence[Atoms], search: Search
    ) -> list[Results]:
        given = tensors_of(structures, self.device, self.dtype)
        graph = self.loaded.graph(given, search)
        if isinstance(graph, PeriodicEdgeList):
            check_apart(graph, structures)
        self._look_for_parts(graph, search)
        said = self.loaded.evaluate(graph, self.compiled)
        return results_of(structures, said, self.calibration)

    def _look_for_parts(self, graph: AtomGraph, search: Search) -> None:
        # The parts of a cell are what they were while its neighbours are.
        known = isinstance(search, VerletList) and not search.fresh
        if known and isinstance(graph, PeriodicEdgeList):
            return
        config = self.model.config
        if config.reads_whole or self.advice.of_parts:
            apart = unlinked_atoms(graph, config)
            if apart is not None:
                check_whole(config, apart, self.potential)
                self._warn_of_parts(*apart)

    def _warn_of_parts(self, i: int, j: int) -> None:
        config = self.model.config
        beyond = config.reach is None or config.reach > config.cutoff
        # Parts that have charges are neutral, and interact as they should.
        if self.advice.of_parts and beyond and not config.has_charges:
            self.advice.warn_of_parts(i, j, config.cutoff, config.pair_cutoff)

    def check(self, atoms: Atoms) -> None:
        """Raise `StructureError` for what the potential cannot treat.

        Cells that are too small, and atoms of a cell in one place, are found with its
        neighbours, and so by an evaluation alone.
        """
        self._check(atoms)

    def _check(self, atoms: Atoms, distances: bool = True) -> None:
        # Loops list all pairs of small molecules, and find what coincides.
        distances = distances or len(atoms) > ATOMS_NATIVE
        elements = self.model.config.elements
        check_structure(atoms, elements, self.potential, distances)
        check_neutral_singlet(atoms, self.charge, self.spin, self.potential)
        if atoms.pbc.any():
            for member in self.members:
                check_extensive(member.config, self.potential)
                check_lattice(member.config, atoms, self.potential)
            if self.card is not None and not self.card.training.get("periodic"):
                warn_of_cells(self.potential)

    def __deepcopy__(self, memo: dict[int, Any]) -> "PhysMLCalculator":
        # Weights never change here: a copy shares them, and owns its results.
        other = PhysMLCalculator.__new__(PhysMLCalculator)
        other.__dict__.update(self.__dict__)
        other.neighbours = VerletList(self.neighbours.skin)
        other.baseline = copy(self.baseline)
        other.results = {
            k: np.copy(v) if np.ndim(v) else v for k, v in self.results.items()
        }
        other.atoms = None if self.atoms is None else self.atoms.copy()
        other.parameters = self.parameters.copy()
        return other

    def __copy__(self) -> "PhysMLCalculator":
        return self.__deepcopy__({})

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "neighbours": VerletList(self.neighbours.skin)}
