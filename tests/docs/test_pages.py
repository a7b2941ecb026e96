"""README and pages say what is so: figures, code, messages, links, names."""

import json
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ase.build import molecule
from typer.testing import CliRunner

import ase_physml
from ase_physml.cli import app, main

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *DOCS.glob("*/*.md")])
README = (ROOT / "README.md").read_text("utf-8")

sys.path.insert(0, str(DOCS / "scripts"))
import gallery  # noqa: E402
import marked_tables  # noqa: E402
import notebooks  # noqa: E402
import relink  # noqa: E402

NOTEBOOKS = {f"notebooks/{name}.md" for name in notebooks.NAMES}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_of(path: Path) -> str:
    return path.read_text("utf-8")


def test_figures_of_the_readme_are_those_of_cards_and_results() -> None:
    same = marked_tables.renewed(README) == README
    assert same, "run `python docs/scripts/marked_tables.py` and look at the README"


def test_cells_may_have_bars_in_them() -> None:
    limits = marked_tables.limits().splitlines()
    bars = {line.replace(r"\|", "").count("|") for line in limits}
    assert bars == {6} and any(r"\|ΔE\|" in line for line in limits)


def test_certificates_are_of_suites_and_limits_that_there_are() -> None:
    shown = marked_tables.certificates()
    assert "ANI-1x" in shown and 'class="mark FAIL"' in shown
    for line in marked_tables.certificate_figures().splitlines()[2:]:
        values = [cell.strip() for cell in line.replace(r"\|", "").split("|")[3:-1]]
        assert any(values), line


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 100


def test_the_readme_runs(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"^```python\n(.*?)^```", README, re.S | re.M)
    exec(block, {})
    energy = float(capsys.readouterr().out.split()[0])
    assert energy == pytest.approx(-4217, abs=5)  # ethanol at B3LYP, eV


def messages() -> list[tuple[str, str]]:
    """Commands on the page of questions, and what they say."""
    text = text_of(DOCS / "faq.md")
    return re.findall(r"^```\n\$ physml (.*)\n(.*)\n```", text, re.M)


@pytest.mark.parametrize(("line", "said"), messages())
def test_messages_of_the_questions(
    line: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    molecule("H2O").write("r.xyz")
    arguments = shlex.split(line.replace(">>", "'>>'"))
    if "kept" in line:
        CliRunner().invoke(app, [*arguments, "--steps", "1"])
    monkeypatch.setattr(sys, "argv", ["physml", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code
    shown = capsys.readouterr().err
    assert said in shown


def links_of(path: Path) -> Iterator[str]:
    text = re.sub(r"^ *```.*?^ *```", "", text_of(path), flags=re.S | re.M)
    yield from (t for t in re.findall(r"\]\(([^)\s#]+)", text) if ":" not in t)


@pytest.mark.parametrize("source", relink.PAGES)
def test_files_link_to_what_is_there(source: str) -> None:
    for target in links_of(ROOT / source):
        assert (ROOT / source).parent.joinpath(target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_link_to_what_is_there(page: Path) -> None:
    made = {*relink.PAGES.values(), "commands.md", *NOTEBOOKS}
    for target in links_of(page):
        path = Path(page.parent, target).resolve().relative_to(DOCS)
        here = (DOCS / path).exists() or path.as_posix() in made
        assert here or path.parts[0] == "made", target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_show_what_the_gallery_makes(page: Path) -> None:
    drawn = {f"{name}.png" for name in gallery.RUNS}
    drawn |= {one for some in gallery.OTHERS.values() for one in some.values()}
    for words, target in re.findall(r"!\[(.*?)\]\((\S+)\)", text_of(page)):
        assert len(words) > 20, f"{target}: say what it shows"
        assert Path(target).name in drawn
    text = text_of(page)
    # The formatter of Python takes the short form for a comparison.
    assert "8 <" not in text
    blocks = re.findall(r"^ *--8<--\n *(.*)\n *--8<--$", text, re.M)
    for path in [*re.findall(r'--8<-- "(.*?)"', text), *blocks]:
        where = Path(path)
        made = where.parent == Path("docs/made") and where.stem in gallery.RUNS
        assert made or (ROOT / path).is_file()


def test_a_notebook_as_a_page(tmp_path: Path) -> None:
    drawn = {"output_type": "display_data", "data": {"image/png": "aGk="}}
    said = {"output_type": "stream", "name": "stdout", "text": ["one\n", "two\n"]}
    warned = {"output_type": "stream", "name": "stderr", "text": ["careful\n"]}
    code = {
        "cell_type": "code",
        "source": ["print('one')"],
        "metadata": {"alt": "What it shows"},
        "outputs": [warned, said, drawn],
    }
    text = {"cell_type": "markdown", "source": ["# Title\n", "and more"]}
    path = tmp_path / "some.ipynb"
    path.write_text(json.dumps({"cells": [text, code]}), "utf-8")
    page = notebooks.page_of(path, "https://there/some.ipynb")
    assert page.text.startswith("# Title\nand more\n")
    assert "[This notebook](https://there/some.ipynb)" in page.text
    assert "```python\nprint('one')\n```\n\n```\none\ntwo\n```" in page.text
    assert "careful" not in page.text
    assert "![What it shows](some_0.png)" in page.text
    assert page.pictures == {"some_0.png": b"hi"}


def test_notebooks_say_what_they_draw_and_link_to_pages() -> None:
    there = {path.relative_to(DOCS).as_posix() for path in PAGES}
    for name in notebooks.NAMES:
        path = notebooks.FOLDER / f"{name}.ipynb"
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            source = "".join(cell["source"])
            if "plt.subplots" in source:
                assert len(cell["metadata"]["alt"]) > 20, name
            if cell["cell_type"] == "markdown":
                for target in re.findall(r"\]\(\.\./([^)#]+)", source):
                    assert target in there, target


def test_every_run_of_the_gallery_is_an_example_and_is_shown() -> None:
    shown = "".join(map(text_of, PAGES))
    for name in gallery.RUNS:
        assert (ROOT / "examples" / f"{name}.py").is_file()
        assert f"docs/made/{name}.txt" in shown
        assert re.search(rf"--8<--\n *examples/{name}.py\n", shown), name


def test_every_page_is_in_the_menu() -> None:
    menu = re.findall(r": (\S+\.md)$", text_of(ROOT / "mkdocs.yml"), re.M)
    found = {path.relative_to(DOCS).as_posix() for path in PAGES}
    found |= {page for page in relink.PAGES.values() if "models/" not in page}
    assert set(menu) == found | {"commands.md", *NOTEBOOKS}


def test_the_conda_recipe_asks_for_the_same() -> None:
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    recipe = text_of(ROOT / "recipe" / "meta.yaml")
    (run,) = re.findall(r"  run:\n    - python\n(.*?)\n\n", recipe, re.S)
    asked = {line.removeprefix("    - ").replace(" ", "") for line in run.split("\n")}
    assert asked == {
        one.replace("torch>", "pytorch>") for one in project["dependencies"]
    }
    assert f'version = "{ase_physml.__version__}"' in recipe


def test_one_version_and_one_address() -> None:
    about = yaml.safe_load(text_of(ROOT / "CITATION.cff"))
    assert about["version"] == ase_physml.__version__
    assert about["repository-code"] == relink.repository()
    for name in ("mkdocs.yml", "CONTRIBUTING.md", "pyproject.toml"):
        owners = re.findall(r"github\.com/([\w-]+)/ase_physml", text_of(ROOT / name))
        assert set(owners) == {relink.repository().split("/")[-2]}, name
