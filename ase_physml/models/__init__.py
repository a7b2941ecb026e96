"""The models; they know nothing of ASE, Lightning or files."""
