"""Potentials in other engines than ASE; each needs an extra of its own."""
