"""Suite of dynamics: is energy kept, and does the molecule stay what it is?"""

from collections.abc import Iterator
from functools import partial

import numpy as np
from ase import units
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
from ase.md.verlet import VelocityVerlet

from ase_physml.chem.bonds import bonded_pairs
from ase_physml.evaluation.candidate import Candidate, Molecule
from ase_physml.evaluation.suite import Case, Record, Records, Row, Suite, good

TEMPERATURES = (300.0, 1000.0)  # K
MOLECULES = 5
STEPS, EVERY = 1000, 10
TIME_STEP = 0.5  # fs
# A bond that has been this many times its first length is broken, with no way back.
BROKEN = 1.6


def _cases(candidate: Candidate) -> Iterator[Case]:
    for temperature in TEMPERATURES:
        for one in candidate.molecules[:MOLECULES]:
            key = f"{one.name} at {temperature:g} K"
            yield key, partial(_measure, candidate, one, temperature)


def _measure(candidate: Candidate, one: Molecule, temperature: float) -> Record:
    """Total energy and bonds at constant energy and volume.

    Half of the kinetic energy goes into the potential energy, so that atoms begin with
    twice the temperature.
    """
    atoms = candidate.own_minimum(one).atoms.copy()
    first, last = np.array(sorted(bonded_pairs(atoms))).T
    lengths = atoms.get_all_distances()[first, last]
    atoms.calc = candidate.calculator
    random = candidate.random("dynamics", one.name, temperature)
    MaxwellBoltzmannDistribution(atoms, temperature_K=2 * temperature, rng=random)
    Stationary(atoms)
    total: list[float] = []
    stretch: list[float] = []

    def look() -> None:
        total.append(float(atoms.get_total_energy()))
        now = atoms.get_all_distances()[first, last]
        stretch.append(float((now / lengths).max()))

    run = VelocityVerlet(atoms, TIME_STEP * units.fs)
    run.attach(look, interval=EVERY)
    run.run(STEPS)
    time = np.arange(len(total)) * EVERY * TIME_STEP / 1000.0
    energies = 1000.0 * (np.array(total) - total[0]) / len(atoms)
    return {
        "temperature": temperature,
        "drift": abs(float(np.polyfit(time, energies, 1)[0])),
        "spread": float(energies.std()),
        "whole": max(stretch) < BROKEN,
        "time": time.round(4).tolist(),
        "energies": energies.round(4).tolist(),
    }


def _rows(records: Records) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for temperature in TEMPERATURES:
        some = [r for r in good(records).values() if r["temperature"] == temperature]
        if some:
            rows[f"{temperature:g} K"] = {
                "runs": len(some),
                "worst drift (meV/atom/ps)": max(r["drift"] for r in some),
                "fluctuation, mean (meV/atom)": float(
                    np.mean([r["spread"] for r in some])
                ),
                "stayed whole (%)": 100.0 * float(np.mean([r["whole"] for r in some])),
            }
    return rows


DYNAMICS = Suite(
    name="dynamics",
    title="Dynamics",
    about=(
        "Velocity Verlet from the potential's own minimum, 1,000 steps of 0.5 fs. The "
        "total energy should keep to a line without slope (drift of a fitted line; "
        "its fluctuation is mostly that of the time step), and no bond should reach "
        "1.6 times its length, at 300 K nor at 1,000 K, where molecules live for "
        "microseconds and longer."
    ),
    cases=_cases,
    rows=_rows,
    better={
        "worst drift (meV/atom/ps)": "low",
        "fluctuation, mean (meV/atom)": "low",
        "stayed whole (%)": "high",
    },
)
