"""Losses that a recipe lists: one class each, and where to add your own.

For one of your own derive from `FrameLoss` (potentials) or `MoleculeLoss` (PhysChem,
HamNet), in one file of a package of your own::

    @dataclass(frozen=True)
    class NetForce(FrameLoss):
        # Forces of a molecule add up to zero.
        name = "net_force"
        reads = frozenset({"forces"})

        def __call__(self, context: FrameContext) -> Tensor:
            return context.forces.sum(1).square().mean()

and name the class in that package's ``pyproject.toml``::

    [project.entry-points."ase_physml.losses"]
    net_force = "mypackage:NetForce"

Recipes then list it as any other, ``losses: {energy: 1.0, net_force: 0.1}``; of one
with fields of its own they say ``{weight: 0.1, field: value}``. `Loss` and `FrameLoss`
say what else a class may state: columns that it learns from, which `Batch.labels` then
has, a metric for validations, recipes that make no sense with it.
"""

# In one order, in which losses are registered and summed.
from ase_physml.training.losses import (
    conformation_losses,
    electrostatics,
    frames,
    targets,
)
from ase_physml.training.losses.loss import FrameLoss, Loss, MoleculeLoss, register

__all__ = [
    "FrameLoss",
    "Loss",
    "MoleculeLoss",
    "conformation_losses",
    "electrostatics",
    "frames",
    "register",
    "targets",
]
