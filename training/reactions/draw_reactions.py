"""Draw the reactions on which saddles are searched: no potential has seen them.

    python training/reactions/draw_reactions.py \
        --held reactions.h5 training/reactions/splits/reactions.json \
        --held reactions_delta.h5 training/delta/splits/reactions_delta.json \
        --out training/reactions/splits/saddles.json

Test reactions are those whose reactant is in the test part of every split;
development reactions, on which settings may be chosen, those in a validation part and
in no test part. Both in random order, so that "the first 48" is a fair sample.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ase_physml.data.dataset import RaggedSet
from ase_physml.data.index_split import Split
from ase_physml.errors import DataError


def parts(data: RaggedSet, split: Split) -> dict[str, str]:
    """Part of each reaction, by its name.

    Raises:
        DataError: The split is of another set.
    """
    if len(data) != split.size:
        raise DataError(f"the split is of {split.size} frames, not {len(data)}")
    names = list(map(text, data.column("name")))
    return {
        names[k][:-2]: part
        for part in ("train", "val", "test")
        for k in getattr(split, part)
        if names[k].endswith("/r")
    }


def text(name: bytes | str) -> str:
    """Name as a set stores it."""
    return name.decode() if isinstance(name, bytes) else str(name)


def draw(held: Iterable[dict[str, str]]) -> dict[str, list[str]]:
    """Names of development and test reactions."""
    tables = list(held)
    everywhere = sorted(set.intersection(*map(set, tables)))
    found: dict[str, list[str]] = {"development": [], "test": []}
    for name in everywhere:
        where = [table[name] for table in tables]
        if set(where) == {"test"}:
            found["test"].append(name)
        elif "val" in where and "test" not in where:
            found["development"].append(name)
    random = np.random.default_rng(0)
    return {part: random.permutation(some).tolist() for part, some in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--held", nargs=2, action="append", required=True, metavar=("SET", "SPLIT")
    )
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    found = draw(parts(RaggedSet(data), Split.load(s)) for data, s in options.held)
    options.out.write_text(json.dumps(found) + "\n")
    print({part: len(names) for part, names in found.items()})


if __name__ == "__main__":
    main()
