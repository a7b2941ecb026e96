"""A calculator of one structure at a time, in several processes of this machine."""

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from ase_physml.calculators.many import NEEDED, Results, compute_one
from ase_physml.calculators.names import as_calculator, make_calculator, name_of
from ase_physml.errors import PhysMLError, PotentialError, StructureError
from ase_physml.jobs.pool import StandingPool


class ProcessesCalculator(Calculator):
    """Calculator by name whose ``calculate_many`` computes in several processes.

    Results are those of the calculator itself. The processes start at the first batch,
    with one thread each, and stay until this one ends.

    Args:
        name: Name for `make_calculator`, such as "tblite:GFN2-xTB" or
            "module:factory".
        jobs: Number of processes.

    Raises:
        PotentialError: No such calculator, or one without energies or forces.
    """

    def __init__(self, name: str, jobs: int) -> None:
        super().__init__()
        if jobs < 1:
            raise PotentialError(f"{jobs} processes compute nothing; give 1 or more")
        self.made_of = name
        self.one = as_calculator(name)
        self.implemented_properties = list(self.one.implemented_properties)
        self._pool = StandingPool(jobs)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """ASE's entry, for one structure: in this process."""
        super().calculate(atoms, list(properties), list(system_changes))
        assert self.atoms is not None
        wanted = dict.fromkeys([*NEEDED, *properties])
        self.results = compute_one(self.one, self.atoms, tuple(wanted))

    def calculate_many(self, structures: Sequence[Atoms]) -> list[Results]:
        """Results of each structure; see `ComputesMany`.

        Raises:
            PhysMLError: The calculator's refusal of the first that it cannot treat.
            DataError: A process died.
        """
        if len(structures) < 2:
            return [compute_one(self.one, atoms) for atoms in structures]
        bare = [atoms.copy() for atoms in structures]
        found = self._pool.map(partial(_compute, self.made_of), bare)
        for one in found:
            if isinstance(one, Exception):
                raise one
        return [one for one in found if isinstance(one, dict)]

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """Entry of trajectories: that of the calculator itself."""
        tell = getattr(self.one, "todict", None)
        return {} if tell is None else dict(tell())

    def _get_name(self) -> str:
        return name_of(self.one)


@lru_cache(maxsize=1)
def _calculator(name: str) -> Calculator:
    return make_calculator(name)


def _compute(name: str, atoms: Atoms) -> Results | Exception:
    """Results of a structure, or why there are none; runs in another process."""
    try:
        return compute_one(_calculator(name), atoms)
    except PhysMLError as error:
        return error
    except Exception as error:
        # Of any library, and not all of them travel.
        return StructureError(f"{name}: {type(error).__name__}: {error}")
