"""Build hook: the native code of `ase_physml/native/src` becomes part of the package.

Without a C++ compiler the package installs as well; torch does the work then.
"""

import os
import sys
import sysconfig
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = "ase_physml/native"


class NativeCode(BuildHookInterface[Any]):
    """Compiles the library beside its sources, into wheels and editable installs."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the library; put it into the wheel, which is one of this platform."""
        if self.target_name != "wheel":
            return
        builder = _builder(Path(self.root, FOLDER, "build.py"))
        try:
            library: Path = builder.build(Path(self.root, FOLDER))
        except (builder.BuildError, OSError) as error:
            self.app.display_warning(
                f"native code is left out, torch computes without: {error}; "
                f"{builder.ADVICE}"
            )
            return
        build_data["pure_python"] = False
        # It knows nothing of Python, and serves all of its versions.
        build_data["tag"] = f"py3-none-{_platform()}"
        build_data["artifacts"].append(f"/{FOLDER}/{library.name}")

    def clean(self, versions: list[str]) -> None:
        """Remove what was built."""
        for file in Path(self.root, FOLDER).glob("libphysml-*"):
            file.unlink()


def _platform() -> str:
    given = os.environ.get("_PYTHON_HOST_PLATFORM") or sysconfig.get_platform()
    if sys.platform == "darwin" and given.startswith("macosx"):
        # The compiler builds for this machine alone.
        given = given.replace("universal2", os.uname().machine)
    return given.replace("-", "_").replace(".", "_")


def _builder(path: Path) -> ModuleType:
    """`ase_physml/native/build.py`, without the package, which needs torch."""
    spec = spec_from_file_location("physml_build", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
