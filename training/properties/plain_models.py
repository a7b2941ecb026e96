"""Plain models of properties on the splits of `seeds.py`: what ours have to beat.

    python training/properties/plain_models.py properties/{esol,freesolv}.h5 \
        --out plain.json

Random forests of Morgan fingerprints (counts, radius 2, 2,048 bits; "ECFP4"; trees see
a third of the bits at each branch) and gradient boosting of RDKit's
descriptors, scikit-learn's with its default settings: nothing is chosen on any part,
and validation parts are not used. Random splits of a seed are those of `seeds.py`, by
their hashes; of the one scaffold split there is one model. Sets that are in the result
already are left alone.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from rdkit import Chem
from rdkit.Chem import Descriptors
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
from rich.progress import track
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

from ase_physml.chem.molecule_sets import random_split, scaffold_split
from ase_physml.chem.property_sets import PropertySet
from ase_physml.data.index_split import Split
from ase_physml.training.losses.targets import mean_roc_auc

Array = np.ndarray
Result = dict[str, Any]


def fingerprints(molecules: list[Chem.Mol]) -> Array:
    """Counts of Morgan's environments, (M, 2048)."""
    generator = GetMorganGenerator(radius=2, fpSize=2048)
    return np.stack([generator.GetCountFingerprintAsNumPy(m) for m in molecules])


def descriptors(molecules: list[Chem.Mol]) -> Array:
    """RDKit's descriptors, (M, K); NaN where there is none."""
    rows = [list(Descriptors.CalcMolDescriptors(m).values()) for m in molecules]
    table = np.array(rows, dtype=np.float64)
    table[~np.isfinite(table)] = np.nan
    # Ipc reaches 1e19, which trees of floats do not take.
    return np.clip(table, -1e9, 1e9)


INPUTS: dict[str, Callable[[list[Chem.Mol]], Array]] = {
    "ECFP4, random forest": fingerprints,
    "descriptors, gradient boosting": descriptors,
}


def model_of(name: str, task: str, seed: int) -> Any:
    """Model of scikit-learn by its row."""
    if "forest" in name:
        kind = RandomForestRegressor if task == "regression" else RandomForestClassifier
        part = 1 / 3 if task == "regression" else "sqrt"
        return kind(max_features=part, n_jobs=-1, random_state=seed)
    if task == "regression":
        return HistGradientBoostingRegressor(random_state=seed)
    return HistGradientBoostingClassifier(random_state=seed)


def predicted(
    name: str, data: PropertySet, inputs: Array, split: Split, seed: int
) -> Array:
    """Answers for the test part, one target after the other, (M, T)."""
    columns = []
    for target in data.targets.T:
        known = split.train[~np.isnan(target[split.train])]
        model = model_of(name, data.task, seed)
        model.fit(inputs[known], target[known])
        given = inputs[split.test]
        if data.task == "regression":
            columns.append(model.predict(given))
        else:
            columns.append(model.predict_proba(given)[:, 1])
    return np.stack(columns, axis=1)


def errors(data: PropertySet, found: Array, split: Split) -> dict[str, float]:
    """RMSE and MAE, or the mean area under the ROC curve."""
    true = data.targets[split.test]
    if data.task == "regression":
        error = (found - true)[~np.isnan(true)]
        rmse = float(np.sqrt((error**2).mean()))
        return {"rmse": rmse, "mae": float(np.abs(error).mean())}
    area = mean_roc_auc(torch.from_numpy(found), torch.from_numpy(true))
    return {"roc_auc": area}


def measure(path: Path, seeds: list[int]) -> Result:
    """Errors of both models on random splits and the one by scaffold."""
    data = PropertySet.load(path)
    molecules = [Chem.MolFromSmiles(str(one)) for one in data.smiles]
    splits = {
        "random": [(seed, random_split(data.store, seed)) for seed in seeds],
        "scaffold": [(seeds[0], scaffold_split(data.store))],
    }
    result: Result = {"unit": data.unit, "molecules": len(data.smiles)}
    inputs = {name: compute(molecules) for name, compute in INPUTS.items()}
    for kind, drawn in splits.items():
        found: Result = {"splits": [split.hash for _, split in drawn]}
        for name, given in inputs.items():
            rows = [
                errors(data, predicted(name, data, given, split, seed), split)
                for seed, split in drawn
            ]
            found[name] = {key: _summary([row[key] for row in rows]) for key in rows[0]}
        result[kind] = found
    return result


def _summary(values: list[float]) -> Result:
    deviation = stdev(values) if len(values) > 1 else 0.0
    return {"mean": mean(values), "deviation": deviation, "each": values}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", help="of make_properties.py")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    found: Result = {}
    if options.out.exists():
        found = json.loads(options.out.read_text())
    for path in track(options.data, "sets"):
        if path.stem not in found:
            found[path.stem] = measure(path, options.seeds)
            options.out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
