"""Table of the shipped models."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ase.data import atomic_numbers, chemical_symbols

from ase_physml.store.checkpoint import (
    input_of,
    load_molecular,
    load_potentials,
)
from ase_physml.store.registry import entries, resolve


@dataclass(frozen=True)
class Shipped:
    """A potential, or a model of molecules.

    Attributes:
        name: Name of its file.
        elements: Symbols; of models of molecules, of heavy atoms.
        level_of_theory: Level of theory of its energies; "-" where it has none.
        purpose: Uses that it is fit for.
        not_for: Uses that it is not fit for.
    """

    name: str
    elements: tuple[str, ...]
    level_of_theory: str
    purpose: str
    not_for: tuple[str, ...]


def catalogue() -> list[Shipped]:
    """All that is shipped, by name; potentials first.

    Raises:
        PotentialError: A file is not the one that was published.
    """
    found = [_shipped(name, entry) for name, entry in sorted(entries().items())]
    return sorted(found, key=lambda one: one.level_of_theory == "-")


def potentials_for(numbers: Iterable[int]) -> list[Shipped]:
    """Shipped potentials, not models of molecules, that know all of some elements."""
    wanted = set(numbers)
    return [
        one
        for one in catalogue()
        if one.level_of_theory != "-"
        and wanted <= {atomic_numbers[symbol] for symbol in one.elements}
    ]


def _shipped(name: str, entry: dict[str, Any]) -> Shipped:
    path, level = resolve(name), "-"
    if input_of(path) == "bonds":
        elements = tuple(load_molecular(path)[1].elements)
    else:
        card = load_potentials(path)[1]
        elements = tuple(chemical_symbols[z] for z in card.numbers)
        level = card.level_of_theory
    unfit = tuple(entry.get("not_for", ()))
    return Shipped(name, elements, level, entry.get("for", ""), unfit)
