"""A calculator in several processes is the same calculator."""

import pickle

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT

from ase_physml.calculators.many import ComputesMany
from ase_physml.calculators.names import name_of
from ase_physml.calculators.processes import ProcessesCalculator
from ase_physml.calculators.provenance import identity_of
from ase_physml.errors import PotentialError, StructureError
from ase_physml.workflows.relax_many import relax_many


def test_batches_come_back_in_order_and_refusals_as_they_were() -> None:
    calculator = ProcessesCalculator("emt", 2)
    assert isinstance(calculator, ComputesMany) and name_of(calculator) == "emt"
    pairs = [Atoms("Cu2", [[0, 0, 0], [0, 0, 2.2 + 0.1 * k]]) for k in range(4)]
    found = calculator.calculate_many(pairs)
    for atoms, result in zip(pairs, found, strict=True):
        alone = EMT()
        assert result["energy"] == alone.get_potential_energy(atoms)
        np.testing.assert_array_equal(result["forces"], alone.get_forces(atoms))
    # Of one batch of relaxations, the one that is refused leaves alone.
    done = relax_many([pairs[0], molecule("SiH4"), pairs[1]], calculator, steps=1)
    assert [isinstance(one, Exception) for one in done] == [False, True, False]
    with pytest.raises(StructureError, match="emt: NotImplementedError: No EMT"):
        calculator.calculate_many([pairs[0], molecule("SiH4")])


def test_how_many_processes_is_no_part_of_what_results_depend_on() -> None:
    assert identity_of(ProcessesCalculator("emt", 3)) == identity_of("emt")
    again = pickle.loads(pickle.dumps(ProcessesCalculator("emt", 3)))
    assert again.get_potential_energy(Atoms("Cu")) == EMT().get_potential_energy(
        Atoms("Cu")
    )


def test_what_is_none_is_refused() -> None:
    with pytest.raises(PotentialError, match="1 or more"):
        ProcessesCalculator("emt", 0)
    with pytest.raises(PotentialError, match="GFN9"):
        ProcessesCalculator("tblite:GFN9", 2)
