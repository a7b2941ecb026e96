"""Conformers of molecules from their SMILES: predicted, embedded, relaxed, written."""
