"""Calculators for tests of labelling; found by name, also in spawned processes."""

import os
import signal
import time
from typing import Any, ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, all_changes


class Spring(Calculator):
    """Every atom on a spring to the origin; slow on request; hates oxygen."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def calculate(
        self,
        atoms: Any = None,
        properties: Any = None,
        system_changes: Any = all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        time.sleep(float(os.environ.get("TOY_DELAY", "0")))
        if 8 in self.atoms.numbers:
            raise RuntimeError("no oxygen, please")
        if 7 in self.atoms.numbers:
            self.results = {"energy": np.nan, "forces": self.atoms.positions}
            return
        squares = (self.atoms.positions**2).sum()
        self.results = {"energy": squares, "forces": -2.0 * self.atoms.positions}


class Drifting(Spring):
    """Remembers how often it was asked, unless it is reset."""

    asked = 0

    def reset(self) -> None:
        super().reset()
        self.asked = 0

    def calculate(self, *args: Any, **kwargs: Any) -> None:
        super().calculate(*args, **kwargs)
        self.asked += 1
        self.results["energy"] += self.asked


class Charged(Spring):
    """Has charges and a dipole as well."""

    implemented_properties: ClassVar[list[str]] = [
        *Spring.implemented_properties,
        "charges",
        "dipole",
    ]

    def calculate(self, *args: Any, **kwargs: Any) -> None:
        super().calculate(*args, **kwargs)
        charges = self.atoms.positions[:, 0] - self.atoms.positions[:, 0].mean()
        self.results["charges"] = charges
        self.results["dipole"] = charges @ self.atoms.positions


class Doubtful(Charged):
    """A committee: it says how far its members part."""

    def calculate(self, *args: Any, **kwargs: Any) -> None:
        super().calculate(*args, **kwargs)
        self.results["forces_std"] = 0.1 * np.abs(self.results["forces"])


class Stressed(Charged):
    """Has a stress as well, of molecules too, and charges that are none."""

    implemented_properties: ClassVar[list[str]] = [
        *Charged.implemented_properties,
        "stress",
    ]

    def calculate(self, *args: Any, **kwargs: Any) -> None:
        super().calculate(*args, **kwargs)
        self.results["stress"] = np.array([0.01, 0.02, 0.03, 0.004, 0.005, 0.006])
        self.results["charges"] = np.full(len(self.atoms), np.nan)


class Dying(Spring):
    """Takes its process along."""

    def calculate(self, *args: Any, **kwargs: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Threads(Spring):
    """Tells how many threads it was started with."""

    def calculate(self, *args: Any, **kwargs: Any) -> None:
        super().calculate(*args, **kwargs)
        self.results["energy"] = float(os.environ["OMP_NUM_THREADS"])


def number() -> int:
    return 3


def failing() -> None:
    raise OSError("the licence server is down")
