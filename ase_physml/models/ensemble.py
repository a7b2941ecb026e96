"""Models that answer together: their mean, and how far they disagree."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn

from ase_physml.bonded_graph import BondedGraph
from ase_physml.errors import PotentialError
from ase_physml.models.bonded_model import (
    BondedModel,
    MolecularPrediction,
    probabilities,
)
from ase_physml.models.property_head import PropertyHead

_EPS = 1e-7  # probabilities of 0 or 1 have no finite logit


class Ensemble(BondedModel):
    """Models of the same properties, trained apart; conformations are of the first.

    Energy models need no class of their own: their calculators keep a tuple of them.

    Attributes:
        config: Architecture of each member.

    Raises:
        PotentialError: Fewer than two members, different architectures, or models of
            conformations alone.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        able = [m for m in members if isinstance(m, BondedModel) and m.config.targets]
        if len(able) < len(members) or len(able) < 2:
            raise PotentialError("a committee is of two models of properties or more")
        self.config: Any = able[0].config
        if any(member.config != self.config for member in able):
            raise PotentialError("members of a committee share their architecture")
        self._members = nn.ModuleList(able)

    @property
    def members(self) -> list[BondedModel]:
        """The models."""
        return cast(list[BondedModel], list(self._members))

    @property
    def head(self) -> PropertyHead | None:  # type: ignore[override]
        """Head of the first member: kind and size of the targets."""
        return self.members[0].head

    def predict(self, graph: BondedGraph) -> MolecularPrediction:
        """Mean and spread of the members."""
        head = self.config.head
        said = [member.predict(graph) for member in self.members]
        found = [one.property for one in said if one.property is not None]
        values = torch.stack([probabilities(one, head) for one in found])
        mean = values.mean(0)
        if head == "classification":
            mean = torch.logit(mean, eps=_EPS)
        elif head == "multiclass":
            mean = mean.clamp(min=_EPS).log()
        prints = [one.fingerprint for one in said if one.fingerprint is not None]
        return said[0]._replace(
            property=mean, fingerprint=torch.cat(prints, dim=1), spread=values.std(0)
        )


def members_of(model: BondedModel) -> list[BondedModel]:
    """Members of an ensemble, or the model itself alone."""
    return model.members if isinstance(model, Ensemble) else [model]
