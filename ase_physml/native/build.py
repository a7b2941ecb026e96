"""Building of the library of `src/`: when the package is built, or at its first use.

Nothing here comes from the package: `hatch_build.py` loads this file alone.
"""

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

SOURCES = Path(__file__).parent / "src"
X86 = platform.machine().lower() in ("x86_64", "amd64")
_SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")

# Vector units, each of which gets code of its own: what they are called, and options
# of the compilers. Of processors that are not of this kind a plain one will do.
# The plain one of a PC is for very old processors: -O1 compiles in half the time.
_GNU_KINDS = {"plain": "-O3"}
if X86:
    _GNU_KINDS = {
        "plain": "-O1",
        "avx2": "-O3 -mavx2 -mfma",
        "avx512": "-O3 -mavx2 -mfma -mavx512f -mavx512dq -mavx512bw -mavx512vl",
    }
_MSVC_KINDS = {"plain": ""}
if X86:
    _MSVC_KINDS |= {"avx2": "/arch:AVX2", "avx512": "/arch:AVX512"}
# No -ffast-math: sums are written for vectors, and NaN shall stay what it is.
_GNU = "-std=c++17 -fPIC -fvisibility=hidden -ffp-contract=fast -fno-math-errno"
_MSVC = "/nologo /std:c++17 /O2 /fp:contract /GS- /EHsc"

ADVICE = (
    "install a C++ compiler (g++ or clang++; of Visual Studio on Windows; or pip "
    "install ziglang) or, to go without, say backend='torch'"
)


class BuildError(Exception):
    """There is no compiler, or it fails."""


@dataclass(frozen=True)
class Compiler:
    """A compiler: its command, its kind of options, and variables it needs."""

    command: tuple[str, ...]
    is_msvc: bool = False
    environment: tuple[tuple[str, str], ...] = ()

    def build(self, target: Path, folder: Path) -> None:
        """Compile for each vector unit, all at once, and link.

        Raises:
            BuildError: What the compiler says.
        """
        kinds = _MSVC_KINDS if self.is_msvc else _GNU_KINDS
        options = shlex.split(_MSVC if self.is_msvc else _GNU)
        if X86:
            options.append("-DPHYSML_X86")
        jobs, objects = [], []
        for kind, flags in {**kinds, "": ""}.items():
            source = "kernels.cpp" if kind else "dispatch.cpp"
            made = folder / f"{kind or 'dispatch'}.o"
            output = [f"/Fo{made}"] if self.is_msvc else ["-o", str(made)]
            given = [*options, *flags.split(), f"-DPHYSML_KIND={kind or 'none'}"]
            jobs.append(self._start(*given, "-c", str(SOURCES / source), *output))
            objects.append(str(made))
        for job in jobs:
            _check(job)
        link = ["/LD", f"/Fe{target}"] if self.is_msvc else ["-shared", "-o", target]
        _check(self._start(*options[:1], *map(str, link), *objects))

    def _start(self, *arguments: str) -> "subprocess.Popen[str]":
        try:
            return subprocess.Popen(
                [*self.command, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env={**os.environ, **dict(self.environment)},
            )
        except OSError as error:
            raise BuildError(f"{self.command[0]}: {error.strerror}") from error


def _check(job: "subprocess.Popen[str]") -> None:
    said, _ = job.communicate()
    if job.returncode:
        lines = [line for line in said.splitlines() if "error" in line.lower()]
        reason = (lines or said.splitlines() or ["no message"])[0]
        raise BuildError(f"the C++ compiler fails: {reason.strip()[:300]}")


def library_name() -> str:
    """File name, with a hash of the sources: another version's is never taken."""
    files = sorted([*SOURCES.glob("*.?pp"), Path(__file__)])
    found = hashlib.sha256(b"".join(file.read_bytes() for file in files))
    return f"libphysml-{found.hexdigest()[:16]}{_SUFFIX}"


def build(folder: Path) -> Path:
    """Build the library into a folder, whole or not at all.

    Returns:
        Its path.

    Raises:
        BuildError: There is no compiler, or it fails.
        OSError: The folder cannot be written to.
    """
    target = folder / library_name()
    folder.mkdir(parents=True, exist_ok=True)
    reason = "there is no C++ compiler"
    with TemporaryDirectory(dir=folder, prefix="build-") as name:
        part = Path(name, target.name)
        for compiler in _compilers():
            try:
                compiler.build(part, Path(name))
            except BuildError as error:
                reason = str(error)
            else:
                part.replace(target)
                return target
    raise BuildError(reason)


def _compilers() -> Iterator[Compiler]:
    """Compilers that are here, the one of the environment variable CXX first."""
    given = os.environ.get("CXX")
    names = [shlex.split(given)] if given else []
    names += [["c++"], ["g++"], ["clang++"]]
    for name in names:
        if name and shutil.which(name[0]):
            yield Compiler(tuple(name))
    if sys.platform == "win32":
        yield from _visual_studio()
    if find_spec("ziglang") is not None:
        yield Compiler((sys.executable, "-m", "ziglang", "c++"))


def _visual_studio() -> Iterator[Compiler]:
    """`cl` of this command prompt, or of the newest Visual Studio."""
    if shutil.which("cl"):
        yield Compiler(("cl",), is_msvc=True)
        return
    programs = os.environ.get("PROGRAMFILES(X86)", "C:/Program Files (x86)")
    finder = Path(programs, "Microsoft Visual Studio/Installer/vswhere.exe")
    if not finder.is_file():
        return
    wanted = "Microsoft.VisualStudio.Component.VC.Tools.x86.x64"
    command = [finder, "-latest", "-products", "*", "-requires", wanted]
    command += ["-property", "installationPath"]
    root = _output([*map(str, command)])
    script = Path(root, "VC/Auxiliary/Build/vcvars64.bat")
    if not root or not script.is_file():
        return
    lines = _output(f'cmd /s /c ""{script}" >nul && set"').splitlines()
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    path = {key.upper(): value for key, value in found.items()}.get("PATH", "")
    if cl := shutil.which("cl", path=path):
        yield Compiler((cl,), True, tuple(found.items()))


def _output(command: str | list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()
