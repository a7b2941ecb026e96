"""Results of many structures at once, as many as fit into memory."""

from collections.abc import Callable, Sequence

import torch
from ase import Atoms

from ase_physml.calculators.many import (
    NEEDED,
    Results,
    SharedCalculator,
    compute_each,
)
from ase_physml.calculators.names import CalculatorLike, as_calculator
from ase_physml.calculators.physml import PhysMLCalculator

# What torch says of the CPU, where it has no exception of its own.
_CPU_FULL = ("can't allocate memory", "not enough memory")


class BatchEvaluator:
    """Computes energies and forces of structures before anyone asks for them.

    In batches with a calculator that has ``calculate_many``, see `ComputesMany`, as
    PhysML's have; with any other of ASE's one after the other. Each structure gets a
    calculator of its own that holds its results.

    Args:
        calculator: Calculator of all structures, or its name.
        batch_size: Structures at a time, to begin with: halved whenever memory runs
            out, and from then on.

    Raises:
        PotentialError: No calculator, or one without forces; see `as_calculator`.
    """

    def __init__(self, calculator: CalculatorLike, batch_size: int = 256) -> None:
        self.calculator = as_calculator(calculator)
        self.batch_size = batch_size

    def attach(self, atoms: Atoms) -> None:
        """Give a structure its calculator.

        Raises:
            StructureError: The calculator cannot treat the structure.
        """
        if isinstance(self.calculator, PhysMLCalculator):
            self.calculator.check(atoms)
            # Its own copy, for its own results; weights are shared.
            atoms.calc = self.calculator.__copy__()
        else:
            atoms.calc = SharedCalculator(self.calculator)

    def serves(self, atoms: Atoms) -> bool:
        """The calculator of a structure is from here."""
        if isinstance(self.calculator, PhysMLCalculator):
            return isinstance(atoms.calc, PhysMLCalculator)
        found = atoms.calc
        return isinstance(found, SharedCalculator) and found.shared is self.calculator

    def __call__(self, structures: Sequence[Atoms]) -> None:
        """Fill the results of structures that have their calculator from here.

        Raises:
            StructureError: Naming the first structure that cannot be treated.
            MemoryError: One structure alone is too large.
        """
        self._in_batches(self._compute, structures)

    def results(self, structures: Sequence[Atoms]) -> list[Results]:
        """Results of structures, which need no calculator from here.

        Raises:
            StructureError: Naming the first structure that cannot be treated.
            MemoryError: One structure alone is too large.
        """
        found: list[Results] = []

        def compute(some: Sequence[Atoms]) -> None:
            found.extend(list(compute_each(self.calculator, some)))

        self._in_batches(compute, structures)
        return found

    def _in_batches(
        self,
        compute: Callable[[Sequence[Atoms]], None],
        structures: Sequence[Atoms],
    ) -> None:
        start = 0
        while start < len(structures):
            some = structures[start : start + self.batch_size]
            try:
                compute(some)
            except RuntimeError as error:
                if not _out_of_memory(error):
                    raise
                self._halve(error)
            else:
                start += len(some)

    def _compute(self, structures: Sequence[Atoms]) -> None:
        if isinstance(self.calculator, PhysMLCalculator):
            self.calculator.calculate_many(structures)
            return
        # Where one failed, those before it have their results.
        left = [a for a in structures if a.calc.calculation_required(a, NEEDED)]
        found = compute_each(self.calculator, left)
        for atoms, results in zip(left, found, strict=True):
            atoms.calc.keep(atoms, results)

    def _halve(self, error: RuntimeError) -> None:
        if self.batch_size == 1:
            raise MemoryError("one structure alone does not fit into memory") from error
        self.batch_size //= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _out_of_memory(error: RuntimeError) -> bool:
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return any(phrase in str(error) for phrase in _CPU_FULL)
