"""Engines that are not installed are not tested."""

from importlib.util import find_spec

_ENGINES = ("openmm", "torch_sim")
collect_ignore = [f"test_{name}.py" for name in _ENGINES if find_spec(name) is None]
