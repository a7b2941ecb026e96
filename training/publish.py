"""Ship a trained model: put its measured errors on its card, and register it.

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

from ase_physml.store.checkpoint import (
    input_of,
    load_molecular,
    load_potentials,
    save_model,
)
from ase_physml.store.registry import register

SHIPPED = Path(__file__).parents[1] / "potentials"
# Of the machine and of the draw, what others computed under the same names, what there
# is a mean of, and what is on the card already or is said of one member.
NO_ERRORS = ("second", "seed", "legacy", "of_targets", "members", "spread", "single")


def errors_of(evaluation: dict[str, Any]) -> dict[str, float]:
    """The figures of an evaluation that belong on a card: numbers, flat."""
    flat: dict[str, float] = {}
    for key, value in evaluation.items():
        if any(word in key for word in NO_ERRORS):
            continue
        if isinstance(value, dict):
            flat |= {f"{key}_{k}": v for k, v in errors_of(value).items()}
        elif isinstance(value, int | float) and not isinstance(value, bool):
            flat[key] = round(float(value), 5)
    return flat


def without_folders(training: dict[str, Any]) -> dict[str, Any]:
    """Notes on the training, without where its data lay on the machine that did it."""
    recipe = dict(training.get("recipe", {}))
    recipe["sources"] = [
        {k: Path(v).name if k in ("path", "split") and v else v for k, v in s.items()}
        for s in recipe.get("sources", [])
    ]
    if recipe.get("start_from"):
        recipe["start_from"] = Path(recipe["start_from"]).name
    return {**training, "recipe": recipe}


def revision() -> str:
    """Commit of the code that publishes."""
    command = ["git", "rev-parse", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def publish_potential(source: Path, errors: dict[str, float]) -> Path:
    """A PhysML potential, all its members."""
    members, card = load_potentials(source)
    card = replace(
        card,
        # Defaults of the architecture that are newer than the run belong to it too.
        architecture=members[0].config.to_dict(),
        errors=errors,
        training=without_folders(card.training),
        commit=revision(),
    )
    path = SHIPPED / f"{card.name}.pt"
    save_model(path, members, card)
    return path


def publish_molecular(source: Path, errors: dict[str, float]) -> Path:
    """A PhysChem or HamNet model."""
    model, card = load_molecular(source)
    recipe = dict(card.training.get("recipe", {}))
    for key in ("data", "split", "start_from"):
        recipe[key] = recipe[key] and Path(recipe[key]).name
    notes = {**card.training, "recipe": recipe, "commit": revision()}
    path = SHIPPED / f"{card.name}.pt"
    card = replace(card, errors=errors, training=notes)
    save_model(path, model, card)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument(
        "evaluation", type=Path, help="JSON of one of the scripts evaluate*.py"
    )
    parser.add_argument("--summary", required=True, help="one line for people")
    options = parser.parse_args()
    evaluation = json.loads(options.evaluation.read_text())
    if evaluation["part"] != "test":
        raise SystemExit("a card carries errors of the test split")
    is_molecular = input_of(options.model) == "bonds"
    publish = publish_molecular if is_molecular else publish_potential
    path = publish(options.model, errors_of(evaluation))
    register(path, options.summary)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
