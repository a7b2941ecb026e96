"""Molecules as graphs of bonds, from SMILES, RDKit molecules or bare geometries."""
