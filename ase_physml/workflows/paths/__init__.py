"""Reaction paths: interpolation, bands in batches, what they are worth."""
