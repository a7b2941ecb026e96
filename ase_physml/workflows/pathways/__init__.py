"""Pathways: from a mapped reaction SMILES to its path."""
