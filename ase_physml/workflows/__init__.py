"""Workflows: relaxations, bands, pathways, conformers, properties."""
