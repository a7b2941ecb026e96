"""Results of many structures at once, as many as fit into memory."""

from collections.abc import Sequence

import torch
from ase import Atoms
from ase.calculators.calculator import Calculator

from ase_physml.calculators.physml import PhysMLCalculator

# What torch says of the CPU, where it has no exception of its own.
_CPU_FULL = ("can't allocate memory", "not enough memory")


class BatchEvaluator:
    """Computes energies and forces of structures before anyone asks for them.

    With a PhysML calculator in batches, each structure having its own copy; with any
    other of ASE's one after the other, when they are asked for.

    Args:
        calculator: Of all structures.
        batch_size: Structures at a time, to begin with: halved whenever memory runs
            out, and from then on.
    """

    def __init__(self, calculator: Calculator, batch_size: int = 256) -> None:
        self.calculator = calculator
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
            atoms.calc = self.calculator

    def __call__(self, structures: Sequence[Atoms]) -> None:
        """Fill the results of structures that have their calculator from here.

        Raises:
            StructureError: Naming the first structure that cannot be treated.
            MemoryError: One structure alone is too large.
        """
        if not isinstance(self.calculator, PhysMLCalculator):
            return
        start = 0
        while start < len(structures):
            some = structures[start : start + self.batch_size]
            try:
                self.calculator.calculate_many(some)
            except RuntimeError as error:
                if not _out_of_memory(error):
                    raise
                self._halve(error)
            else:
                start += len(some)

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
