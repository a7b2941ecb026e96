"""Measure a PhysChem or HamNet model on molecules that it was not trained on.

    python training/evaluate_molecules.py physchem_qm9.pt --data qm9_molecules.h5 \
        --split training/splits/qm9_molecules.json --out physchem_qm9.json

Conformations: the root mean square error of all distances between heavy atoms of a
molecule (its mean is what PhysChem's Table 2 calls Distance MSE), pooled over all pairs
too, and what is left after the best rotation (Kabsch), with and without the mirror
image. Properties: RMSE and MAE over all molecules together, or the area under the ROC
curve over what was measured. Figures named legacy are computed as the published codes
compute theirs. Speed: on one thread, batches of 256, from the store to predictions.
"""

import argparse
import json
from pathlib import Path

from ase_physml.errors import DataError
from ase_physml.store.checkpoint import load_molecular
from ase_physml.store.registry import resolve
from ase_physml.training.molecular_data import Molecules
from ase_physml.training.molecular_evaluation import (
    Report,
    check_fits,
    evaluate,
    molecules_per_second,
)


def measure(
    model_file: Path,
    data: Path,
    split_file: Path,
    part: str,
    limit: int | None,
    timed: bool = True,
) -> Report:
    """All figures of a model on one part of a split."""
    model, card = load_molecular(model_file)
    config = model.config
    molecules = Molecules.load(data, bool(config.targets), config.atom_features)
    check_fits(card, molecules)
    split = molecules.split(split_file)
    indices = getattr(split, part)[:limit]
    if not len(indices):
        raise DataError(f"{split_file}: its {part} part is empty")
    found = {
        "model": card.name,
        "data": data.name,
        "part": part,
        "split_hash": split.hash,
        "trained_on_this_split": split.hash in card.split_hashes.values(),
        **evaluate(model, molecules, indices),
    }
    if timed:
        speed = molecules_per_second(model, molecules, indices)
        found["molecules_per_second"] = speed
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="shipped name or file")
    parser.add_argument("--data", type=Path, required=True, help="store of molecules")
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--part", choices=("test", "val"), default="test")
    parser.add_argument("--limit", type=int, help="of molecules")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    report = measure(
        resolve(options.model),
        options.data,
        options.split,
        options.part,
        options.limit,
    )
    text = json.dumps(report, indent=2)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
