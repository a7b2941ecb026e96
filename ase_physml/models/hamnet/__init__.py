"""HamNet, molecules moved by a learned Hamiltonian (ICLR 2021)."""
