"""Sets of structures: the HDF5 layout, importers, labelling, splits."""
