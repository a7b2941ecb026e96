"""Training of PhysChem and HamNet: conformations and properties of molecules."""
