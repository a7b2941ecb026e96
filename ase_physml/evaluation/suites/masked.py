"""Suite of hidden atoms: the likelihood of each element where one belongs."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from ase import Atoms
from ase.build import molecule
from ase.data import chemical_symbols

from ase_physml.calculators.physml import PhysMLCalculator
from ase_physml.errors import PotentialError
from ase_physml.evaluation.candidate import Candidate
from ase_physml.evaluation.suite import Case, Record, Records, Row, Suite, good
from ase_physml.graph import MASK, AllPairs
from ase_physml.torch_state import plain_torch

ALONG = np.linspace(-4.0, 4.0, 81)  # Å


def _cases(candidate: Candidate) -> Iterator[Case]:
    if not isinstance(candidate.calculator, PhysMLCalculator):
        raise PotentialError("only PhysML potentials name hidden atoms")
    for name, atoms in (("CH4", molecule("CH4")), ("pyrrole", molecule("C4H4NH"))):
        carbon = int(np.argmax(atoms.numbers == 6))
        yield name, partial(_measure, candidate.calculator, atoms, carbon)
    for one in candidate.molecules[:3]:
        heavy = int(np.argmax(one.atoms.numbers > 1))
        yield one.name, partial(_measure, candidate.calculator, one.atoms, heavy)


@plain_torch()
def slide(
    calculator: PhysMLCalculator, atoms: Atoms, index: int, axis: int = 2
) -> dict[int, np.ndarray]:
    """Likelihood of each element at a hidden atom that slides along an axis.

    Fig 5 of the PhysML paper. Elements the potential was not trained on have none.

    Args:
        calculator: Calculator of PhysML.
        atoms: Molecule.
        index: Index of the hidden atom.
        axis: Axis to slide along: 0, 1 or 2.

    Returns:
        Atomic number to likelihoods, (81,), from -4 to 4 Å beside its place.
    """
    calculator.check(atoms)
    elements = calculator.model.config.elements
    numbers = torch.as_tensor(atoms.numbers.astype(np.int64)).repeat(len(ALONG), 1)
    numbers[:, index] = MASK
    positions = np.repeat(atoms.positions[None], len(ALONG), axis=0)
    positions[:, index, axis] += ALONG
    like = next(calculator.model.parameters())
    graph = AllPairs(numbers.to(like.device), torch.as_tensor(positions).to(like))
    with torch.no_grad():
        scores = calculator.model.mask_logits(graph)[:, index]
    known = torch.tensor([z - 1 for z in elements], device=like.device)
    likely = scores[:, known].softmax(dim=1).double().cpu().numpy()
    return {z: likely[:, k] for k, z in enumerate(elements)}


def _measure(calculator: PhysMLCalculator, atoms: Atoms, index: int) -> Record:
    likely = slide(calculator, atoms, index)
    true = int(atoms.numbers[index])
    middle = len(ALONG) // 2
    at_place = {z: float(curve[middle]) for z, curve in likely.items()}
    return {
        "element": chemical_symbols[true],
        "likelihood": at_place[true],
        "first": chemical_symbols[max(at_place, key=lambda z: at_place[z])],
        "along": ALONG.tolist(),
        "curves": {chemical_symbols[z]: c.round(5).tolist() for z, c in likely.items()},
    }


def _rows(records: Records) -> dict[str, Row]:
    return {
        name: {
            "hidden": record["element"],
            "most likely": record["first"],
            "likelihood of the hidden": record["likelihood"],
        }
        for name, record in good(records).items()
    }


MASKED = Suite(
    name="masked",
    title="Hidden atoms",
    about=(
        "The element of an atom is hidden, and the atom slid along z; the curves are "
        "the likelihood of each element of the potential where it then is."
    ),
    cases=_cases,
    rows=_rows,
    better={"likelihood of the hidden": "high"},
)
