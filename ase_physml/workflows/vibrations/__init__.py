"""Vibrations: second derivatives, modes, thermochemistry, files."""
