"""PhysML, the physics-driven Transformer (UAI 2023)."""
