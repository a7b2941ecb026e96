"""Ship a trained potential: put its measured errors on its card, and register it.

    python training/publish.py runs/qm9/qm9.pt qm9.json --summary "..."

Writes ``potentials/NAME.pt`` and its entry in ``registry.yaml``; the model card for
people, ``potentials/NAME.md``, is written by hand.
"""

import argparse
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from ase_physml.potentials.checkpoint import load_committee, save_potential
from ase_physml.potentials.registry import register

SHIPPED = Path(__file__).parents[1] / "potentials"


def errors_of(evaluation: dict[str, object]) -> dict[str, float]:
    """The figures of `evaluate.py` that belong on a card, flat."""
    flat = {}
    for key, value in evaluation.items():
        if isinstance(value, dict):
            flat |= {f"{key}_{k}": v for k, v in value.items()}
        elif isinstance(value, int | float):
            flat[key] = value
    return {key: round(float(value), 5) for key, value in flat.items()}


def without_folders(training: dict[str, Any]) -> dict[str, Any]:
    """Notes on the training, without where its data lay on the machine that did it."""
    recipe = dict(training.get("recipe", {}))
    recipe["sources"] = [
        {k: Path(v).name if k in ("path", "split") and v else v for k, v in s.items()}
        for s in recipe.get("sources", [])
    ]
    return {**training, "recipe": recipe}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("potential", type=Path)
    parser.add_argument(
        "evaluation", type=Path, help="JSON of evaluate.py or evaluate_reactions.py"
    )
    parser.add_argument("--summary", required=True, help="one line for people")
    options = parser.parse_args()
    members, card = load_committee(options.potential)
    evaluation = json.loads(options.evaluation.read_text())
    if evaluation["part"] != "test":
        raise SystemExit("a card carries errors of the test split")
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    card = replace(
        card,
        # Defaults of the architecture that are newer than the run belong to it too.
        architecture=members[0].config.to_dict(),
        errors=errors_of(evaluation),
        training=without_folders(card.training),
        commit=commit,
    )
    path = SHIPPED / f"{card.name}.pt"
    save_potential(path, members, card)
    register(path, options.summary)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
