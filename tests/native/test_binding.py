"""The library is built once, whole or not at all, and found again."""

import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ase_physml.native import binding as finding
from ase_physml.native import build as building
from ase_physml.native.build import BuildError, Compiler, build, library_name

# Writes its arguments into its output.
SCRIPT = "import sys; a = sys.argv; open(a[a.index('-o') + 1], 'w').write(' '.join(a))"


def written(folder: Path, text: str) -> Compiler:
    """A compiler that is a script."""
    script = folder / "compiler.py"
    script.write_text(text)
    return Compiler((sys.executable, str(script)))


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Compiler]:
    """What compilers there are: one that writes what it is told."""
    given = [written(tmp_path, SCRIPT)]
    monkeypatch.setattr(building, "_compilers", lambda: iter(given))
    return given


def test_each_kind_of_vector_unit_is_compiled_and_linked(
    compiler: list[Compiler], tmp_path: Path
) -> None:
    found = build(tmp_path / "new")
    assert found == tmp_path / "new" / library_name()
    said = found.read_text()
    assert "-shared" in said
    for kind in building._GNU_KINDS:
        assert f"{kind}.o" in said
    assert [path.name for path in (tmp_path / "new").iterdir()] == [found.name]


def test_a_compiler_that_fails_leaves_nothing_and_says_why(
    compiler: list[Compiler], tmp_path: Path
) -> None:
    text = "import sys; print('x.cpp:3: error: no such thing'); sys.exit(1)"
    compiler[:] = [written(tmp_path, text)]
    with pytest.raises(BuildError, match=r"fails: x\.cpp:3: error: no such"):
        build(tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())


def test_the_next_compiler_is_tried(compiler: list[Compiler], tmp_path: Path) -> None:
    compiler.insert(0, Compiler((str(tmp_path / "none"),)))
    assert build(tmp_path / "new").is_file()


def test_other_sources_are_another_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = library_name()
    monkeypatch.setattr(building, "SOURCES", tmp_path)
    (tmp_path / "a.cpp").write_text("int a;")
    first = library_name()
    (tmp_path / "a.cpp").write_text("int b;")
    assert len({before, first, library_name()}) == 3


def test_it_is_built_once_for_a_user(
    compiler: list[Compiler], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASE_PHYSML_CACHE", str(tmp_path / "cache"))
    found = finding._from_cache()
    assert found.parent == tmp_path / "cache"
    compiler.clear()
    assert finding._from_cache() == found


def test_where_no_folder_may_be_written_to_it_is_built_elsewhere(
    compiler: list[Compiler], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ASE_PHYSML_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(finding.tempfile, "tempdir", str(tmp_path))  # type: ignore[attr-defined]
    assert finding._from_cache().parent.parent == tmp_path


def test_without_a_compiler_one_line_says_what_to_do(
    compiler: list[Compiler], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler.clear()
    monkeypatch.setenv("ASE_PHYSML_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(finding, "library_name", lambda: "libphysml-other.so")
    finding.shared_object.cache_clear()
    try:
        said = finding.failure.__wrapped__()
    finally:
        finding.shared_object.cache_clear()
    assert "no C++ compiler; install" in said
    assert "backend='torch'" in said
    assert "\n" not in said


class Hook:
    """`hatch_build.py`, with a builder of our own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, builder: Any) -> None:
        pytest.importorskip("hatchling")
        monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
        module = import_module("hatch_build")
        monkeypatch.setattr(module, "_builder", lambda _: builder)
        self.said: list[str] = []
        self.target = module.NativeCode(
            str(Path(__file__).parents[2]), {}, None, None, "", "wheel", None
        )
        app = SimpleNamespace(display_warning=self.said.append)
        monkeypatch.setattr(type(self.target), "app", app)

    def run(self) -> dict[str, Any]:
        data: dict[str, Any] = {"artifacts": [], "pure_python": True}
        self.target.initialize("standard", data)
        return data


class Builder:
    BuildError, ADVICE = BuildError, "install one"

    def __init__(self, library: Path | None) -> None:
        self.built = library

    def build(self, folder: Path) -> Path:
        if self.built is None:
            raise BuildError("there is no C++ compiler")
        return self.built


def test_a_wheel_with_native_code_is_of_its_platform(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = Hook(monkeypatch, Builder(Path("libphysml-1.so"))).run()
    assert data["artifacts"] == ["/ase_physml/native/libphysml-1.so"]
    assert not data["pure_python"]
    assert data["tag"].startswith("py3-none-")
    assert not data["tag"].endswith("any")


def test_a_wheel_without_a_compiler_is_a_plain_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hook = Hook(monkeypatch, Builder(None))
    data = hook.run()
    assert data == {"artifacts": [], "pure_python": True}
    assert "no C++ compiler; install one" in hook.said[0]
