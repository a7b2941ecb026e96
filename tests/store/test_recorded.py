"""What shipped potentials say may not drift with the code.

`recorded.json` was computed by the first, plain code of the models, before any of the
work on speed, in float64: structures of ASE's G2 set and a slab, rattled by 0.05 Å.
(That of potentials shipped since, by the code of their day.)
"""

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, fcc111, molecule

from ase_physml import PhysMLCalculator
from ase_physml.store.checkpoint import input_of

RECORDED = json.loads(Path(__file__).with_name("recorded.json").read_text())


def structure(name: str) -> Atoms:
    """A molecule by its name, or "CO on Pt"."""
    adsorbate, _, metal = name.partition(" on ")
    atoms = molecule(adsorbate)
    if metal:
        slab = fcc111(metal, (2, 2, 3), vacuum=6.0)
        add_adsorbate(slab, atoms, 1.9, "ontop", mol_index=1)
        atoms = slab
    atoms.rattle(0.05, seed=0)
    return atoms


@pytest.mark.parametrize(
    ("potential", "name"),
    [(potential, name) for potential, of in RECORDED.items() for name in of],
)
def test_energies_and_forces_are_what_they_were(potential: str, name: str) -> None:
    atoms = structure(name)
    atoms.calc = PhysMLCalculator(potential, device="cpu")
    # A baseline is another package's, and converges as that does.
    atoms.calc.baseline = None
    before = RECORDED[potential][name]
    forces = np.array(before["forces"])
    assert atoms.get_potential_energy() == pytest.approx(before["energy"], rel=1e-9)
    error = np.abs(atoms.get_forces() - forces).max()
    assert error < 1e-6 * np.abs(forces).max()


def test_every_shipped_potential_of_energies_is_recorded() -> None:
    folder = Path(__file__).parents[2] / "potentials"
    shipped = folder.glob("*.pt")
    energies = {p.name for p in shipped if input_of(p) == "atoms"}
    assert set(RECORDED) == energies
