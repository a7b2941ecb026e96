"""Models of one kind that answer together: their mean, and how far they disagree."""

from collections.abc import Sequence
from typing import cast

from torch import nn

from ase_physml.errors import PotentialError
from ase_physml.models.hamnet.model import HamNet
from ase_physml.models.physchem.model import PhysChem
from ase_physml.models.property_head import PropertyHead

Member = PhysChem | HamNet


class PropertyCommittee(nn.Module):
    """Models of the same properties, trained apart.

    Attributes:
        config: The architecture of each of them.

    Raises:
        PotentialError: Fewer than two, of different architectures, or of conformations
            alone.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        able = [m for m in members if isinstance(m, Member) and m.config.targets]
        if len(able) < len(members) or len(able) < 2:
            raise PotentialError("a committee is of two models of properties or more")
        self.config = able[0].config
        if any(member.config != self.config for member in able):
            raise PotentialError("members of a committee share their architecture")
        self._members = nn.ModuleList(able)

    @property
    def members(self) -> list[Member]:
        """The models."""
        return cast(list[Member], list(self._members))

    @property
    def head(self) -> PropertyHead | None:
        """That of the first member: what the targets are, and of what size."""
        return self.members[0].head
