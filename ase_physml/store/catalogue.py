"""What is shipped, at a glance."""

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
        name: Of its file.
        elements: Symbols; of models of molecules, of heavy atoms.
        level_of_theory: Of its energies; "-" where it has none.
        purpose: What it is for.
        not_for: What it is not for.
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
