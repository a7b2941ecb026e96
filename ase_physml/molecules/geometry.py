"""One geometry of a molecule that nothing is known of but its bonds."""

from __future__ import annotations

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers
from rdkit.rdBase import BlockLogs

from ase_physml.data.frame import Array
from ase_physml.errors import DataError
from ase_physml.molecules.etkdg import Clock, first_embedded
