"""A calculator of the small random potential."""

from pathlib import Path

import pytest

from ase_physml.calculators.physml import PhysMLCalculator


@pytest.fixture
def calculator(tiny_potential: Path) -> PhysMLCalculator:
    return PhysMLCalculator(tiny_potential, device="cpu")
