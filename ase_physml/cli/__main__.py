"""`python -m ase_physml.cli`, the same as `physml`."""

from ase_physml.cli import main

main()
