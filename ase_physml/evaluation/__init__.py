"""How far a potential can be trusted: suites of tests for any ASE calculator."""
