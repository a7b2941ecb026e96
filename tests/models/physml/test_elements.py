"""What the model reads of elements."""

from ase.data import covalent_radii

from ase_physml.models.energy_model import MAX_ATOMIC_NUMBER
from ase_physml.models.physml.elements import covalent_radius


def test_radii_are_those_of_ase_to_the_last_bit() -> None:
    own = [covalent_radius(number) for number in range(1, MAX_ATOMIC_NUMBER + 1)]
    assert own == covalent_radii[1 : MAX_ATOMIC_NUMBER + 1].tolist()
