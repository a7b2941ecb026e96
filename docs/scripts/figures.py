"""Measured figures in words: from the cards of models and from stored results."""

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ase_physml.store.catalogue import Shipped, catalogue
from ase_physml.store.checkpoint import input_of, load_molecular, load_potentials
from ase_physml.store.registry import resolve

ROOT = Path(__file__).parents[2]
_TIMES = ROOT / "training/delta/results/baseline_time.json"

Errors = dict[str, float]

_ORGANIC = ("H", "C", "N", "O", "F", "P", "S", "Cl", "Br", "I", "B", "Si", "Se")
_LISTED = 9  # elements; of more, the metals are counted


class Figures(NamedTuple):
    """What a table says of a shipped model.

    Attributes:
        about: Name, elements, level of theory, purpose.
        errors: Measured errors in words, most telling first.
        milliseconds: Atoms to the time of a call on one thread; empty if not measured.
    """

    about: Shipped
    errors: list[str]
    milliseconds: dict[int, float]


@lru_cache
def all_figures() -> list[Figures]:
    """Of every shipped model, potentials first."""
    times = stored(_TIMES)
    return [_figures_of(one, times) for one in catalogue()]


def stored(path: Path) -> Any:
    """Results as they were written by the script that measured them."""
    return json.loads(path.read_text("utf-8"))


def elements_of(symbols: tuple[str, ...]) -> str:
    """Symbols in the order chemists write them; of many, metals as a number."""
    order = {symbol: k for k, symbol in enumerate(_ORGANIC)}
    known = sorted((s for s in symbols if s in order), key=order.__getitem__)
    others = [s for s in symbols if s not in order]
    if len(symbols) <= _LISTED or not others:
        return " ".join(known + others)
    return f"{' '.join(known)}, {len(others)} metals"


@lru_cache
def errors_on_card(name: str) -> tuple[Errors, str]:
    """Measured errors on the card in a model's file, and the unit of its properties."""
    path = resolve(name)
    if input_of(path) == "bonds":
        card = load_molecular(path)[1]
        return card.errors, card.unit
    return load_potentials(path)[1].errors, ""


def _figures_of(about: Shipped, times: list[dict[str, Any]]) -> Figures:
    errors, unit = errors_on_card(about.name)
    words = [say(errors) for say in _SAYINGS]
    if "properties_rmse" in errors and "properties_rmse_in_deviations" not in errors:
        words.append(f"RMSE {errors['properties_rmse']:.2f} {unit}".rstrip())
    found = {t["atoms"]: t["ms"][about.name] for t in times if about.name in t["ms"]}
    return Figures(about, [word for word in words if word], found)


def _barriers(errors: Errors) -> str:
    if "barriers_mae_to_ccsd_eV" in errors:
        return f"barriers at known saddles {errors['barriers_mae_to_ccsd_eV']:.2f} eV"
    if "mae_force_saddles_eV_per_A" not in errors:
        return ""
    return "barriers " + _beside(errors, "mae_difference_meV", 1e-3, "eV", 2)


def _conformers(errors: Errors) -> str:
    if "mae_difference_meV" not in errors or "mae_force_saddles_eV_per_A" in errors:
        return ""
    return "conformer energies " + _beside(errors, "mae_difference_meV", 1, "meV", 0)


def _forces(errors: Errors) -> str:
    if "paths_mae_force_eV_per_A" in errors:
        return f"forces along paths {errors['paths_mae_force_eV_per_A']:.2f} eV/Å"
    if "mae_force_saddles_eV_per_A" in errors:
        key = "mae_force_saddles_eV_per_A"
        return "forces at saddles " + _beside(errors, key, 1, "eV/Å", 2)
    if "mae_force_eV_per_A" not in errors:
        return ""
    return "forces at minima " + _beside(errors, "mae_force_eV_per_A", 1, "eV/Å", 3)


def _energies(errors: Errors) -> str:
    found = errors.get("mae_energy_meV")
    return "" if found is None else f"energies {found:.0f} meV"


def _adsorption(errors: Errors) -> str:
    found = errors.get("displaced_mae_direct_eV")
    return "" if found is None else f"energies of adsorption {found:.2f} eV"


def _distances(errors: Errors) -> str:
    found = errors.get("conformations_distance_rms_mean_A")
    # Models of properties learn conformations beside them, and are not for those.
    if found is None or any(key.startswith("properties") for key in errors):
        return ""
    return f"distances of heavy atoms {found:.2f} Å"


def _classes(errors: Errors) -> str:
    found = errors.get("properties_roc_auc")
    return "" if found is None else f"area under the ROC curve {found:.2f}"


def _beside(errors: Errors, key: str, scale: float, unit: str, digits: int) -> str:
    """An error, and that of the baseline in brackets where there is one."""
    said = f"{scale * errors[key]:.{digits}f}"
    if (baseline := errors.get(f"baseline_{key}")) is not None:
        said += f" ({scale * baseline:.{digits}f})"
    return f"{said} {unit}"


_SAYINGS: tuple[Callable[[Errors], str], ...] = (
    _barriers,
    _conformers,
    _energies,
    _forces,
    _adsorption,
    _distances,
    _classes,
)
