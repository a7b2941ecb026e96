"""Put on a shipped potential's card how near atoms came in what it was trained on.

    python training/note_distances.py qm9_delta.pt \
        qm9_delta.h5:training/splits/qm9_energies.json

For potentials whose training is older than these notes: a calculator warns of elements
and distances beyond them. Sets are those of the recipe, each with its split, if any;
weights stay as they are.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml

from ase_physml.data.dataset import RaggedSet
from ase_physml.data.index_split import Split
from ase_physml.store.checkpoint import load_potentials, save_model
from ase_physml.store.registry import register
from ase_physml.training.batches import FrameStore
from ase_physml.training.coverage import shortest_distances

SHIPPED = Path(__file__).parents[1] / "potentials"


def stores(sets: list[str]) -> Iterator[FrameStore]:
    """Training frames of each SET or SET:SPLIT."""
    for given in sets:
        path, _, split = given.partition(":")
        data = RaggedSet(Path(path))
        train = Split.load(Path(split)).train if split else np.arange(len(data))
        yield FrameStore(data, train)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("potential", help="file in potentials/")
    parser.add_argument("sets", nargs="+", metavar="SET[:SPLIT]")
    options = parser.parse_args()
    path = SHIPPED / options.potential
    members, card = load_potentials(path)
    recipe = card.training.get("recipe", {})
    trained_on = {Path(s["path"]).name for s in recipe.get("sources", [])}
    given = {Path(one.partition(":")[0]).name for one in options.sets}
    if given != trained_on:
        raise SystemExit(
            f"{path.name} was trained on {', '.join(sorted(trained_on))}, "
            f"not on {', '.join(sorted(given))}"
        )
    shortest = shortest_distances(stores(options.sets))
    save_model(path, members, replace(card, shortest=shortest))
    registry = yaml.safe_load((path.parent / "registry.yaml").read_text())
    register(path, registry["potentials"][path.name]["summary"])
    print(f"{path}: {len(shortest)} pairs of elements, before {len(card.shortest)}")


if __name__ == "__main__":
    main()
