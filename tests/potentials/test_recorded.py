"""What shipped potentials say may not drift with the code.

`recorded.json` was computed by the first, plain code of the models, before any of the
work on speed, in float64: structures of ASE's G2 set, rattled by 0.05 Å.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule

from ase_physml import PhysMLCalculator

RECORDED = json.loads(Path(__file__).with_name("recorded.json").read_text())


@pytest.mark.parametrize(
    ("potential", "name"),
    [(potential, name) for potential, of in RECORDED.items() for name in of],
)
def test_energies_and_forces_are_what_they_were(potential: str, name: str) -> None:
    atoms = molecule(name)
    atoms.rattle(0.05, seed=0)
    atoms.calc = PhysMLCalculator(potential, device="cpu")
    before = RECORDED[potential][name]
    forces = np.array(before["forces"])
    assert atoms.get_potential_energy() == pytest.approx(before["energy"], rel=1e-9)
    error = np.abs(atoms.get_forces() - forces).max()
    assert error < 1e-6 * np.abs(forces).max()


def test_every_shipped_potential_of_energies_is_recorded() -> None:
    folder = Path(__file__).parents[2] / "potentials"
    energies = {p.name for p in folder.glob("*.pt")} - {
        "physchem_qm9.pt",
        "hamnet_qm9.pt",
    }
    assert set(RECORDED) == energies
