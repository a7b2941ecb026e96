"""The mean of the weights of potentials that were trained from one another.

Weights of a fine-tuned network and of the one it came from can be averaged, and the
mean often keeps what either is good at (Wortsman et al. 2022, "Robust fine-tuning of
zero-shot models"). Of networks that were trained apart the mean is noise.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ase_physml.errors import PotentialError
from ase_physml.models.physml.model import PhysML
from ase_physml.potentials.card import PotentialCard
from ase_physml.potentials.checkpoint import load_potential, save_potential


def average_potentials(
    files: Sequence[Path], out: Path, shares: Sequence[float] | None = None
) -> None:
    """Write one potential whose weights are the mean of those of several.

    Args:
        files: Potentials of one architecture, trained from one another.
        out: Potential to write; its name on the card is that of the file. The card has
            no errors: those of the mean are to be measured.
        shares: Weight of each file; made to sum to one. Equal if None.

    Raises:
        PotentialError: Fewer than two files, shares that do not fit, a committee,
            another architecture or level of theory.
    """
    weights = _normalised(files, shares)
    loaded = [load_potential(file) for file in files]
    model, card = loaded[-1]
    for file, (_, other) in zip(files, loaded, strict=True):
        if (other.config, other.level_of_theory) != (card.config, card.level_of_theory):
            raise PotentialError(
                f"{file} and {files[-1]} differ in architecture or level of theory: "
                "their weights have no common mean"
            )
    model.load_state_dict(_mean([model for model, _ in loaded], weights))
    save_potential(out, model, _card(out.stem, [card for _, card in loaded], weights))


def _normalised(files: Sequence[Path], shares: Sequence[float] | None) -> list[float]:
    given = [1.0] * len(files) if shares is None else list(shares)
    if len(files) < 2:
        raise PotentialError("an average is of two potentials or more")
    if len(given) != len(files):
        raise PotentialError(f"{len(files)} potentials, but {len(given)} shares")
    if min(given) < 0.0 or not 0.0 < sum(given) < float("inf"):
        raise PotentialError(f"shares must be 0 or more, and not all 0: {given}")
    return [share / sum(given) for share in given]


def _mean(models: Sequence[PhysML], shares: Sequence[float]) -> dict[str, torch.Tensor]:
    states = [model.state_dict() for model in models]
    factors = torch.tensor(list(shares), dtype=torch.float64)
    # In double precision: a share of one gives that file's weights to the bit.
    return {
        key: torch.tensordot(
            factors, torch.stack([state[key].double() for state in states]), dims=1
        ).to(value.dtype)
        for key, value in states[0].items()
    }


def _card(
    name: str, cards: Sequence[PotentialCard], shares: Sequence[float]
) -> PotentialCard:
    """Of the last file, with where every file came from."""
    parts = [
        {**card.training, "name": card.name, "share": share}
        for card, share in zip(cards, shares, strict=True)
    ]
    hashes = {key: value for card in cards for key, value in card.split_hashes.items()}
    only_minima = all(card.domain == "equilibrium" for card in cards)
    return replace(
        PotentialCard.for_model(
            cards[-1].config,
            name=name,
            level_of_theory=cards[-1].level_of_theory,
            domain="equilibrium" if only_minima else "off-equilibrium",
        ),
        split_hashes=hashes,
        training={
            "average_of": parts,
            "periodic": all(card.training.get("periodic") for card in cards),
        },
    )
