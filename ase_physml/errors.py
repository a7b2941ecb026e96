"""Errors a user can cause. Each message names what is wrong and what to do."""


class PhysMLError(ValueError):
    """Base of every error that bad input can cause."""


class DataError(PhysMLError):
    """A data file, its schema or its units are wrong."""


class WriteError(DataError):
    """Results cannot be written, mostly for want of room; those that are stay."""


class PotentialError(PhysMLError):
    """A potential file or a registry name cannot be used."""


class StructureError(PhysMLError):
    """A structure that a potential or a task cannot treat."""


class RecipeError(PhysMLError):
    """A training recipe is wrong."""
