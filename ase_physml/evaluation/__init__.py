"""Suites of tests for any ASE calculator: how far it can be trusted."""
