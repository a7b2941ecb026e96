"""Train and measure the rows of a paper's table, each a recipe with some changes.

    python training/rows.py training/hamnet/table1_rows.json --data FOLDER \
        --out runs/table1

The file names the recipe, and for each row the changes to it (``set``), the data if
they are others (``data``), and what the paper prints (``printed``). Splits are those of
`seeds.py`, whose runs these are: what is there is left alone, what was interrupted goes
on. ``OUT/NAME.json`` has the results of all rows that are measured, ``.md`` a table of
the mean over seeds.
"""

import argparse
import json
from pathlib import Path
from statistics import mean
from typing import Any

import torch
import yaml
from seeds import Seeds

from ase_physml.errors import RecipeError
from ase_physml.jobs.disk import write_json

Result = dict[str, Any]

# Columns of the table, of properties and of conformations.
_COLUMNS = (
    "rmse", "mae", "multi_mae", "roc_auc", "distance_rms_mean_A",
    "legacy_physchem_distance_mse_A", "kabsch_rmsd_by_mass_mean_A",
    "squared_distances_mean_A2",
)  # fmt: skip


class Table:
    """Rows of a file.

    Args:
        path: File of the rows.
        data: Folder of the data.
        out: Folder of the runs.
        overrides: Changes of all rows, ``key=value``.

    Raises:
        RecipeError: The file lacks a recipe or rows.
    """

    def __init__(self, path: Path, data: Path, out: Path, overrides: list[str]) -> None:
        values = json.loads(path.read_text("utf-8"))
        if not isinstance(values, dict) or not {"recipe", "rows"} <= {*values}:
            raise RecipeError(f"{path}: needs a recipe and rows")
        self.recipe = path.parent / values["recipe"]
        self.rows: dict[str, Result] = values["rows"]
        self.name = path.stem.removesuffix("_rows")
        self.data, self.out, self.overrides = data, out, overrides

    def run(self, row: str, seed: int) -> Result:
        """Result of a row and seed, trained if it is not there."""
        if row not in self.rows:
            raise RecipeError(f"no row {row!r}; there are {', '.join(self.rows)}")
        about = self.rows[row]
        name = "".join(c if c.isalnum() else "_" for c in row)
        changes = [f"name={name}", *about.get("set", []), *self.overrides]
        if "data" in about:
            changes.append(f"data={self.data / about['data']}")
        else:
            default = yaml.safe_load(self.recipe.read_text())["data"]
            changes.append(f"data={self.data / default}")
        seeds = Seeds(self.recipe, changes, "random", self.out, timed=False)
        found = seeds.run(seed, "test")
        return {"row": row, "steps": seeds.recipe.steps, **found}

    def markdown(self, results: list[Result]) -> str:
        """Table of means over seeds, with the printed figures."""
        flat = [
            (r["row"], {**r.get("conformations", {}), **r.get("properties", {})})
            for r in results
        ]
        columns = [c for c in _COLUMNS if any(c in found for _, found in flat)]
        lines = [_line(["row", *columns, "printed"]), "| --- " * (len(columns) + 2)]
        lines[1] += "|"
        for row, about in self.rows.items():
            own = [found for name, found in flat if name == row]
            if own:
                cells = [_mean([f[c] for f in own if c in f]) for c in columns]
                lines.append(_line([row, *cells, about.get("printed", "")]))
        return "\n".join(lines) + "\n"


def _line(cells: list[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _mean(values: list[float]) -> str:
    return f"{mean(values):.4g}" if values else ""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--data", type=Path, required=True, help="folder")
    parser.add_argument("--rows", nargs="*", help="all by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, required=True, help="folder")
    options = parser.parse_intermixed_args()
    torch.set_num_threads(1)
    table = Table(options.file, options.data, options.out, options.overrides)
    results: list[Result] = []
    for seed in options.seeds:
        for row in options.rows or table.rows:
            results.append(table.run(row, seed))
            stem = options.out / table.name
            write_json(stem.with_suffix(".json"), results, indent=1)
            stem.with_suffix(".md").write_text(table.markdown(results))
    print(table.markdown(results))


if __name__ == "__main__":
    main()
