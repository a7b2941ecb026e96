"""ASE calculators, thin: structures in, results out."""
