"""Thermochemistry of a structure from its vibrations, by ASE's classes.

Molecules are ideal gases of rigid rotors and harmonic oscillators; what is held, or
lies in a cell, only vibrates. Of low modes, which are no oscillators, the entropy may
be treated otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

import numpy as np
from ase import units
from ase.thermochemistry import HarmonicMode, HarmonicThermo, IdealGasThermo, RRHOMode

from ase_physml.charges import multiplicity
from ase_physml.data.frame import Array
from ase_physml.errors import StructureError
from ase_physml.workflows.vibrations.normal_modes import Vibrations
from ase_physml.workflows.vibrations.symmetry import TOLERANCE, symmetry_number

_LOW = 100.0  # cm-1, of both treatments


class LowModes(StrEnum):
    """Treatments of modes below 100 cm-1 in the entropy.

    As harmonic oscillators; between oscillator and free rotor (Grimme, Chem. Eur. J.
    18, 9955, 2012); or raised to 100 cm-1 (Ribeiro, Marenich, Cramer and Truhlar,
    J. Phys. Chem. B 115, 14556, 2011).
    """

    harmonic = "harmonic"
    grimme = "grimme"
    truhlar = "truhlar"


@dataclass(frozen=True)
class Conditions:
    """Conditions and treatment.

    Attributes:
        temperature: Temperature, K.
        pressure: Pressure, Pa; of molecules.
        symmetry_number: Rotational symmetry number; None: found from the geometry.
        low_modes: Treatment of low modes.
    """

    temperature: float = 298.15
    pressure: float = 101325.0
    symmetry_number: int | None = None
    low_modes: LowModes = LowModes.harmonic


@dataclass(frozen=True)
class Thermochemistry:
    """Energies at one temperature; those of molecules of an ideal gas.

    Attributes:
        conditions: Conditions, with the symmetry number that was used.
        energy: Potential energy, eV.
        zero_point_energy: eV.
        enthalpy: With potential and zero-point energy, eV; of what only vibrates the
            internal energy.
        entropy: eV/K.
        free_energy: Gibbs's, eV; of what only vibrates Helmholtz's.
        remarks: What it is of, and what was left out.
    """

    conditions: Conditions
    energy: float
    zero_point_energy: float
    enthalpy: float
    entropy: float
    free_energy: float
    remarks: tuple[str, ...]


def thermochemistry(
    vibrations: Vibrations, conditions: Conditions | None = None
) -> Thermochemistry:
    """Enthalpy, entropy and free energy of a structure.

    Args:
        vibrations: Its vibrations, at a minimum; or at a saddle, whose one imaginary
            mode is left out, as transition state theory has it.
        conditions: Temperature, pressure and treatment.

    Raises:
        StructureError: A structure that is at no stationary point, with more than one
            imaginary mode, or conditions out of range.
    """
    conditions = conditions or Conditions()
    _check(vibrations, conditions)
    remarks = []
    if len(vibrations.imaginary):
        remarks.append(
            f"of a saddle: the mode of {-vibrations.imaginary[0]:.0f}i cm-1 is left out"
        )
    quanta = vibrations.frequencies[vibrations.frequencies > 0.0] * units.invcm
    if vibrations.shape in ("held", "periodic"):
        return _of_oscillators(vibrations, conditions, quanta, remarks)
    return _of_gas(vibrations, conditions, quanta, remarks)


def _of_gas(
    vibrations: Vibrations, conditions: Conditions, quanta: Array, remarks: list[str]
) -> Thermochemistry:
    number = conditions.symmetry_number
    if number is None:
        number = symmetry_number(vibrations.atoms)
        remarks.append(f"symmetry number {number}, found within {TOLERANCE:g} Å")
    state = multiplicity(vibrations.atoms)
    gas = IdealGasThermo(
        list(quanta),
        cast(Any, vibrations.shape),  # a molecule's, here
        vibrations.hessian.energy,
        vibrations.atoms,
        number,
        0.5 * (state.value - 1.0) if state is not None else 0.0,
        vib_selection="all",
    )
    temperature = conditions.temperature
    entropy = gas.get_entropy(temperature, conditions.pressure, verbose=False)
    entropy += _correction(vibrations, conditions, quanta, remarks)
    enthalpy = gas.get_enthalpy(temperature, verbose=False)
    return _result(vibrations, conditions, number, enthalpy, entropy, remarks)


def _of_oscillators(
    vibrations: Vibrations, conditions: Conditions, quanta: Array, remarks: list[str]
) -> Thermochemistry:
    remarks.append(f"{vibrations.shape}: vibrations only, no translation or rotation")
    solid = HarmonicThermo(list(quanta), vibrations.hessian.energy)
    temperature = conditions.temperature
    entropy = solid.get_entropy(temperature, verbose=False)
    entropy += _correction(vibrations, conditions, quanta, remarks)
    inner = solid.get_internal_energy(temperature, verbose=False)
    return _result(vibrations, conditions, 1, inner, entropy, remarks)


def _result(
    vibrations: Vibrations,
    conditions: Conditions,
    number: int,
    enthalpy: float,
    entropy: float,
    remarks: list[str],
) -> Thermochemistry:
    used = Conditions(
        conditions.temperature, conditions.pressure, number, conditions.low_modes
    )
    return Thermochemistry(
        used,
        vibrations.hessian.energy,
        vibrations.zero_point_energy,
        float(enthalpy),
        float(entropy),
        float(enthalpy - conditions.temperature * entropy),
        tuple(remarks),
    )


def _correction(
    vibrations: Vibrations, conditions: Conditions, quanta: Array, remarks: list[str]
) -> float:
    """What a treatment of low modes adds to the entropy of oscillators, eV/K."""
    treatment, temperature = conditions.low_modes, conditions.temperature
    low = int((quanta < _LOW * units.invcm).sum())
    if treatment is LowModes.harmonic:
        if low:
            remarks.append(
                f"{low} modes below {_LOW:g} cm-1 are taken for oscillators: their "
                "entropy is rough (see the treatments of low modes)"
            )
        return 0.0
    modes: Sequence[HarmonicMode]
    if treatment is LowModes.truhlar:
        modes = [HarmonicMode(max(one, _LOW * units.invcm)) for one in quanta]
    else:
        inertia = float(np.mean(vibrations.atoms.get_moments_of_inertia()))
        modes = [RRHOMode(float(one), inertia, _LOW) for one in quanta]
    before = [HarmonicMode(one) for one in quanta]
    return _entropy(modes, temperature) - _entropy(before, temperature)


def _entropy(modes: Sequence[HarmonicMode], temperature: float) -> float:
    return sum(cast(float, one.get_entropy(temperature, False)) for one in modes)


def _check(vibrations: Vibrations, conditions: Conditions) -> None:
    if not (conditions.temperature > 0.0 and conditions.pressure > 0.0):
        raise StructureError(
            f"temperature and pressure must be above 0, got {conditions.temperature} K "
            f"and {conditions.pressure} Pa"
        )
    number = conditions.symmetry_number
    if number is not None and number < 1:
        raise StructureError(f"a symmetry number is 1 or more, got {number}")
    if not vibrations.is_stationary:
        raise StructureError(f"no thermochemistry: {vibrations.remarks[0]}")
    if len(vibrations.imaginary) > 1:
        raise StructureError(
            f"no thermochemistry: {vibrations.remarks[-1]}; follow one of them "
            "downhill to a minimum, or a saddle with a single one"
        )
