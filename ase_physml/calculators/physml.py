"""PhysML as an ASE calculator."""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.outputs import Properties, all_outputs

from ase_physml.calculators.checks import check_neutral_singlet, check_structure
from ase_physml.calculators.committee import (
    SPREADS,
    Calibration,
    Prediction,
    Results,
    results_of,
)
from ase_physml.calculators.loading import (
    check_alike,
    copy_of,
    load_all,
    pick_device,
    prepared,
)
from ase_physml.calculators.passes import passes
from ase_physml.errors import PotentialError
from ase_physml.graph import AllPairs, AtomGraph, EdgeList
from ase_physml.models.physml.forces import energy_and_forces
from ase_physml.models.physml.model import PhysML
from ase_physml.models.physml.pair_energy import PairParameters
from ase_physml.models.physml.traced import compiled_forces
from ase_physml.potentials.card import PotentialCard
from ase_physml.potentials.registry import resolve

# Up to this many atoms all pairs, computed without an index, are faster than a list of
# the pairs within the cutoff.
_DENSE_ATOMS = 100


class PhysMLCalculator(Calculator):
    """Energies and forces of neutral closed-shell molecules from a PhysML potential.

    Results: ``energy`` and ``free_energy`` (equal, eV), ``energies`` (eV per atom) and
    ``forces`` (eV/Å), NumPy float64. Energies are totals at the potential's level of
    theory. Copies of a calculator share its weights, so that every image of a path can
    have its own.

    A committee gives the mean of its members, and of their spread ``energy_std`` (eV),
    ``forces_std`` (N, 3) (eV/Å) and ``energy_members`` (K,), in ``results`` and through
    `get_property`; see `Calibration` for their scale.

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

    Raises:
        PotentialError: The potential cannot be loaded, or the device cannot do dtype.
        StructureError: On calculation, for input that the potential cannot treat.
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces"]  # noqa: RUF012
    nolabel = True

    def __init__(
        self,
        model: str | Path | PhysML | Sequence[str | Path | PhysML] = "qm9.pt",
        *,
        device: str = "auto",
        dtype: Literal["float64", "float32"] = "float64",
        charge: int = 0,
        spin: int = 1,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        self.device = pick_device(device, dtype)
        self.dtype = dtype
        self.charge, self.spin = charge, spin
        self.compiled = compiled
        self.card: PotentialCard | None = None
        self.sources: tuple[Path, ...] = ()
        given = [model] if isinstance(model, str | Path | PhysML) else list(model)
        files = [one for one in given if not isinstance(one, PhysML)]
        modules = [one for one in given if isinstance(one, PhysML)]
        if files and modules:
            raise PotentialError("a committee is of files or of modules, not of both")
        if files:
            self.sources = tuple(resolve(one) for one in files)
            self.potential = " + ".join(source.name for source in self.sources)
            self.members, self.card = load_all(self.sources, self.device, dtype)
        else:
            self.potential = "this potential"
            check_alike(modules)
            self.members = tuple(
                prepared(copy_of(one), self.device, dtype) for one in modules
            )
        self.calibration = Calibration.of_card(
            self.card.uncertainty if self.card is not None else {}
        )
        if self.is_committee:
            self.implemented_properties = [*self.implemented_properties, *SPREADS]
        self.evaluations = 0
        self.seconds = 0.0

    @property
    def model(self) -> PhysML:
        """The first member, most often the only one."""
        return self.members[0]

    @property
    def is_committee(self) -> bool:
        """Whether results have a spread."""
        return len(self.members) > 1

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """ASE's entry: all properties at once, since forces cost as much as they do."""
        super().calculate(atoms, list(properties), list(system_changes))
        assert self.atoms is not None
        self.results = self._evaluate([self.atoms])[0]

    def calculate_many(
        self, structures: Sequence[Atoms], batch_size: int | None = None
    ) -> list[Results]:
        """Evaluate structures together, as many in a pass as the device likes.

        A structure whose own calculator shares this one's weights gets its results
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
            if isinstance(calc, PhysMLCalculator) and calc.members == self.members:
                calc.atoms = atoms.copy()
                calc.results = dict(result)
        return results

    def pair_parameters(self, atoms: Atoms) -> PairParameters:
        """Learned charge product, depth, exponent and distance of each pair.

        Those of the first member, if there are several.

        Returns:
            Tensors (N, N), symmetric; the diagonal means nothing.
        """
        self.check(atoms)
        numbers, positions = self._tensors([atoms])
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

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """ASE's comparison, and the keys of ``atoms.info`` that this reads."""
        changes: list[str] = super().check_state(atoms, tol=tol)
        if self.atoms is not None:
            read = ("charge", "spin")
            was, now = self.atoms.info, atoms.info
            changes += [f"info[{k!r}]" for k in read if was.get(k) != now.get(k)]
        return changes

    def export_properties(self) -> Properties:
        """ASE's export, of what ASE knows: it stumbles over anything else."""
        return Properties({k: v for k, v in self.results.items() if k in all_outputs})

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """What trajectories store of the calculator."""
        return {"potential": self.potential, "dtype": self.dtype}

    def _evaluate(self, structures: Sequence[Atoms]) -> list[Results]:
        for atoms in structures:
            self.check(atoms)
        if not structures:
            return []
        start = perf_counter()
        results: list[Results] = [{} for _ in structures]
        for indices in passes([len(atoms) for atoms in structures], self.device):
            some = [structures[index] for index in indices]
            for index, result in zip(indices, self._evaluate_pass(some), strict=True):
                results[index] = result
        self.evaluations += 1
        self.seconds += perf_counter() - start
        return results

    def _evaluate_pass(self, structures: Sequence[Atoms]) -> list[Results]:
        graph = self._graph(structures)
        said = [self._predict(member, graph) for member in self.members]
        return results_of([len(atoms) for atoms in structures], said, self.calibration)

    def _predict(self, member: PhysML, graph: AtomGraph) -> Prediction:
        molecules, per_atom, forces = self._energies_and_forces(member, graph)
        reference = member.reference_energy(graph.numbers)
        flat = graph.replace(positions=graph.positions.double())
        total = molecules.double()
        total = total + flat.sum_atoms(reference.unsqueeze(-1)).squeeze(-1)
        return Prediction(
            total.cpu().numpy(),
            (per_atom.double() + reference).flatten().cpu().numpy(),
            forces.double().reshape(-1, 3).cpu().numpy(),
        )

    def _energies_and_forces(
        self, member: PhysML, graph: AtomGraph
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        # Sizes of 0 and 1 are never symbolic: each would be compiled for on its own.
        if self.compiled and isinstance(graph, AllPairs) and graph.numbers.shape[1] > 2:
            return compiled_forces(member)(graph)
        energies, forces = energy_and_forces(member, graph)
        return energies.molecules.detach(), energies.atoms.detach(), forces

    def check(self, atoms: Atoms) -> None:
        """Raise `StructureError` for what the potential cannot treat."""
        check_structure(atoms, self.model.config.elements, self.potential)
        check_neutral_singlet(atoms, self.charge, self.spin, self.potential)

    def _graph(self, structures: Sequence[Atoms]) -> AtomGraph:
        sizes = {len(atoms) for atoms in structures}
        numbers, positions = self._tensors(structures)
        if len(sizes) == 1 and max(sizes) <= _DENSE_ATOMS:
            shape = (len(structures), sizes.pop())
            return AllPairs(numbers.reshape(shape), positions.reshape(*shape, 3))
        n_atoms = torch.tensor([len(a) for a in structures], device=self.device)
        config = self.model.config
        return EdgeList.build(
            numbers, positions, n_atoms, config.cutoff, config.pair_cutoff
        )

    def _tensors(
        self, structures: Sequence[Atoms]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        numbers = np.concatenate([atoms.numbers for atoms in structures])
        positions = np.concatenate([atoms.positions for atoms in structures])
        return (
            torch.as_tensor(numbers.astype(np.int64), device=self.device),
            torch.tensor(
                positions, dtype=getattr(torch, self.dtype), device=self.device
            ),
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> "PhysMLCalculator":
        # Weights never change here: a copy shares them, and owns its results.
        other = PhysMLCalculator.__new__(PhysMLCalculator)
        other.__dict__.update(self.__dict__)
        other.results = {
            k: np.copy(v) if np.ndim(v) else v for k, v in self.results.items()
        }
        other.atoms = None if self.atoms is None else self.atoms.copy()
        other.parameters = self.parameters.copy()
        return other

    def __copy__(self) -> "PhysMLCalculator":
        return self.__deepcopy__({})

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        if self.sources:
            del state["members"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.sources:
            self.members, self.card = load_all(self.sources, self.device, self.dtype)
