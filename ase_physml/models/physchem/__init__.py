"""PhysChem, conformations and properties from bonds alone (NeurIPS 2021)."""
