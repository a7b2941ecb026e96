"""Train a recipe of properties with several seeds, each on a split of its own.

    python training/seeds.py training/properties/esol.yaml --seeds 0 1 2 3 4 \
        --split random \
        data=properties/esol.h5 --out runs/esol

A seed decides the split, 8:1:1, and the weights (a scaffold split is always the same).
``--split rows`` draws rows of the table whatever they hold, so that molecules which are
listed twice are on both sides: only to see how much of a printed figure that explains.
``OUT/RECIPE_random_0/`` holds split, model and result of a seed; what is there already
is left alone, and what was interrupted goes on, so that a run may be stopped and
started again, or be given more seeds. ``OUT/RECIPE_random.json`` and ``.md`` have the
results of all seeds asked for, and their mean and standard deviation.

``--members 3`` trains as many models on each split, in folders ``member0`` and so on,
joins them to a committee, and scales its spread on the validation part; "single" in the
results is the first of them alone.

``--part val`` shows errors on the validation parts, to choose a recipe by; the test
parts are not touched then.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from evaluate_molecules import measure

from ase_physml.chem.molecule_sets import EIGHT_ONE_ONE, random_split, scaffold_split
from ase_physml.chem.molecules import MoleculeStore
from ase_physml.chem.property_sets import PropertySet
from ase_physml.data.index_split import Split, make_split
from ase_physml.errors import RecipeError
from ase_physml.jobs.disk import write_json
from ase_physml.training.fit import Run, fit, load_recipe
from ase_physml.training.losses.targets import seed_table
from ase_physml.training.molecular_evaluation import calibrate, join_models
from ase_physml.training.molecular_recipe import MolecularRecipe
from ase_physml.training.recipe import find

Result = dict[str, Any]

_APART = 1000  # seeds of members of one split

METRICS = (
    "rmse", "mae", "roc_auc", "legacy_physchem_rmse", "legacy_hamnet_rmse",
    "legacy_physchem_roc_auc",
)  # fmt: skip


class Seeds:
    """Runs of one recipe.

    Args:
        recipe: File of the recipe, of properties or of conformations alone.
        overrides: ``key=value``.
        split: "random", "scaffold" or "rows".
        out: Folder.
        members: Models for each split.
        timed: Measure molecules per second too.
    """

    def __init__(
        self,
        recipe: Path,
        overrides: Sequence[str],
        split: str,
        out: Path,
        members: int = 1,
        timed: bool = True,
    ) -> None:
        self.path, self.overrides, self.split, self.out = recipe, overrides, split, out
        self.members, self.timed = members, timed
        self.recipe = self._load([])
        self.data = find(self.recipe.data, recipe)
        self.store, self.task = MoleculeStore.load(self.data), None
        if self.recipe.learns_properties:
            self.task = PropertySet.load(self.data).task

    def run(self, seed: int, part: str) -> Result:
        """Result of a seed on a part of its split, computed if it is not there."""
        folder = self.out / f"{self.recipe.name}_{self.split}_{seed}"
        split = folder / "split.json"
        parts = [folder / f"member{k}" for k in range(self.members)]
        folders = parts if self.members > 1 else [folder]
        recipes = [
            self._load([f"split={split}", f"seed={seed + k * _APART}"])
            for k in range(self.members)
        ]
        for recipe, own in zip(recipes, folders, strict=True):
            _check_recipe(recipe, own / "recipe.yaml")
        result = folder / f"{part}.json"
        if result.exists():
            done: Result = json.loads(result.read_text())
            if done.get("members", 1) != self.members:
                raise RecipeError(f"{result}: is of another --members; remove it")
            return done
        folder.mkdir(parents=True, exist_ok=True)
        self._store_split(split, seed)
        models = [self._train(*pair) for pair in zip(recipes, folders, strict=True)]
        about: Result = {"seed": seed, "split": self.split, "members": self.members}
        found = about | self._measure(models, folder, part)
        write_json(result, found, indent=2)
        return found

    def _measure(self, models: Sequence[Path], folder: Path, part: str) -> Result:
        """Errors of a model, or of the committee of several; and what they took."""
        split = folder / "split.json"
        first = measure(models[0], self.data, split, part, None, timed=self.timed)
        times = [json.loads((m.parent / "trained.json").read_text()) for m in models]
        if len(models) == 1:
            return {**first, **times[0]}
        joined = folder / f"{self.recipe.name}.pt"
        join_models(models, joined)
        spread = {}
        if self.task == "regression":
            spread = calibrate(joined, self.data, Split.load(split).val)
        return {
            **measure(joined, self.data, split, part, None),
            "spread": spread,
            "single": first["properties"],
            "processor_seconds": sum(one["processor_seconds"] for one in times),
        }

    def _load(self, further: Sequence[str]) -> MolecularRecipe:
        # The recipe's own split is not looked at.
        overrides = ["split=none", *self.overrides, *further]
        recipe = load_recipe(self.path, overrides)
        if not isinstance(recipe, MolecularRecipe):
            raise RecipeError(f"{self.path}: no recipe of PhysChem or HamNet")
        return recipe

    def _store_split(self, path: Path, seed: int) -> None:
        draw = {
            "random": lambda: random_split(self.store, seed),
            "scaffold": lambda: scaffold_split(self.store),
            "rows": lambda: make_split(len(self.store), EIGHT_ONE_ONE, seed),
        }
        draw[self.split]().save(path)

    def _train(self, recipe: MolecularRecipe, folder: Path) -> Path:
        """Path of the model, trained from where an earlier run ended."""
        trained = folder / "trained.json"
        if trained.exists():
            return folder / f"{recipe.name}.pt"
        last = folder / "checkpoints" / "last.ckpt"
        resume = last if last.exists() else None
        start, used = time.perf_counter(), time.process_time()
        model = fit(
            recipe, self.path, Run(folder, resume=resume, progress=False, devices=1)
        )
        write_json(
            trained,
            {
                "resumed": resume is not None,
                "wall_seconds": time.perf_counter() - start,
                "processor_seconds": time.process_time() - used,
            },
        )
        return model


def _check_recipe(recipe: MolecularRecipe, kept: Path) -> None:
    if kept.exists() and yaml.safe_load(kept.read_text()) != recipe.to_dict():
        raise RecipeError(
            f"{kept}: is of another recipe than this; remove its folder, or choose "
            "another --out"
        )


def table(name: str, results: Sequence[Result]) -> str:
    """Markdown table of the errors of properties, of conformations too."""
    rows = []
    for result in results:
        found = {**result.get("properties", {}), **result.get("conformations", {})}
        names = (*METRICS, "distance_rms_mean_A")
        row = {key: found[key] for key in names if key in found}
        single = result.get("single", {})
        row |= {f"single {key}": single[key] for key in METRICS[:3] if key in single}
        rows.append(row)
    return seed_table({name: rows})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument(
        "--split", choices=("random", "scaffold", "rows"), default="random"
    )
    parser.add_argument("--part", choices=("test", "val"), default="test")
    parser.add_argument("--out", type=Path, required=True, help="folder")
    parser.add_argument("--members", type=int, default=1, help="of a committee")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_intermixed_args()
    torch.set_num_threads(options.threads)
    seeds = Seeds(
        options.recipe,
        options.overrides,
        options.split,
        options.out,
        options.members,
    )
    results: list[Result] = []
    for seed in options.seeds:
        results.append(seeds.run(seed, options.part))
        name = f"{seeds.recipe.name}, {options.split} split, {options.part}"
        text = table(name, results)
        print(text, flush=True)
        suffix = "" if options.part == "test" else f"_{options.part}"
        stem = options.out / f"{seeds.recipe.name}_{options.split}{suffix}"
        write_json(stem.with_suffix(".json"), results, indent=2)
        stem.with_suffix(".md").write_text(text + "\n")


if __name__ == "__main__":
    main()
