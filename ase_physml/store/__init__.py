"""Potential files: format, names, model cards."""
