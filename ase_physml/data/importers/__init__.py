"""Importers: one for each published format, and the choice between them.

Each streams frames in eV, Å and eV/Å: units change there and nowhere else.

To add your own format, derive a class from
`ase_physml.data.importers.importer.Importer`, and name it in your package as an entry
point of the group ``ase_physml.importers``::

    [project.entry-points."ase_physml.importers"]
    mine = "my_package.my_importer:MyImporter"

From then on ``physml data import`` reads it by ``--format mine``, or by itself where
its ``recognises`` says that a file is of the format; yours are asked before those of
this package. In a script, `ase_physml.data.importers.opening.open_source` takes an
importer in place of a name. One for this package itself is a module here and a line of
`BUILT_IN`.
"""

GROUP = "ase_physml.importers"
"""Group of the entry points of other packages."""

BUILT_IN = {
    "physml": "hdf5:OwnLayout",
    "transition1x": "transition1x:Transition1x",
    "ani1x": "ani:ANI1x",
    "ani2x": "ani:ANI2x",
    "ani1": "ani:ANI1",
    "qm9": "qm9_archive:QM9Archive",
    "oc20-lmdb": "oc20:OC20LMDB",
    "oc20-s2ef": "oc20:OC20S2EF",
    "ase": "ase_any:AnyOfASE",
}
"""Importers of this package by name, in the order in which a file is shown to them."""
