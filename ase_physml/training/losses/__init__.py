"""Losses that a recipe lists: one class each, and where to add your own.

For one of your own derive from `FrameLoss` (potentials) or `MoleculeLoss` (PhysChem,
HamNet) and name the class as an entry point of the group ``ase_physml.losses``.
"""

# In one order, in which losses are registered and summed.
from ase_physml.training.losses import conformation, frames, targets
from ase_physml.training.losses.loss import FrameLoss, Loss, MoleculeLoss, register

__all__ = [
    "FrameLoss",
    "Loss",
    "MoleculeLoss",
    "conformation",
    "frames",
    "register",
    "targets",
]
