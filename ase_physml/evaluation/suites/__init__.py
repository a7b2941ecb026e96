"""Suites of tests, a module each."""
