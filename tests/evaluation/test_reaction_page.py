"""The page of reactions: complete, escaped, and without the network."""

import json
import re
import sys
from pathlib import Path

import pytest
from ase import Atoms

from ase_physml.evaluation.reaction_page import write_reactions
from ase_physml.workflows.paths.neb import Search, find_paths
from ase_physml.workflows.paths.reaction_path import ReactionPath

sys.path.append(str(Path(__file__).parents[1] / "workflows"))
from surfaces import Jump


@pytest.fixture(scope="module")
def path() -> ReactionPath:
    ends = [Atoms("OHO", [[0, 0, 0], [x, 0, 0], [2.6, 0.0, 0]]) for x in (1.05, 1.55)]
    search = Search(5, 0.2, 3, relax_ends=False, zero_point=True)
    (found,) = find_paths([(ends[0], ends[1])], Jump(), search)
    assert isinstance(found, ReactionPath) and found.grade == "PASS"
    return found


def test_certificates_pictures_and_structures(
    path: ReactionPath, tmp_path: Path
) -> None:
    out = tmp_path / "paths.html"
    write_reactions(out, {"O<b>H": path, "bad": ValueError("no <i>way")}, "Reactions")
    text = out.read_text("utf-8")
    assert "O&lt;b&gt;H" in text and "O<b>H" not in text
    assert "no &lt;i&gt;way" in text
    assert '<span class="grade PASS">PASS</span>' in text
    assert "joins reactant and product" in text and f"{path.barrier:.3f}" in text
    # 3Dmol.js itself, not an address of it, and its licence beside it in the package.
    assert "createViewer" in text and not re.search(r"<script[^>]+src=", text)
    assert text.count("<svg") == 2
    found = re.search(r"const reactions = (\[.*\]);", text)
    assert found is not None
    (shown,) = json.loads(found[1])
    assert shown["symbols"] == ["O", "H", "O"]
    views = shown["views"]
    buttons = re.findall(r'data-view="(\w+)"', text)
    assert buttons == ["reactant", "product", "band", "saddle", "mode", "descent"]
    assert set(buttons) == views.keys()
    assert views["saddle"]["energies"] == [pytest.approx(path.barrier, abs=1e-3)]
    assert views["mode"]["loop"] and len(views["mode"]["frames"]) == 20
    assert all(len(frame) == 9 for frame in views["descent"]["frames"])


def test_a_path_without_a_certificate(path: ReactionPath, tmp_path: Path) -> None:
    (plain,) = find_paths(
        [(path.images[0], path.images[-1])],
        Jump(),
        Search(5, 0.2, 3, relax_ends=False, certify=False),
    )
    write_reactions(tmp_path / "a.html", {"a": plain}, "Reactions")
    text = (tmp_path / "a.html").read_text("utf-8")
    assert (
        "saddle"
        not in json.loads(
            re.search(r"const reactions = (\[.*\]);", text)[1]  # type: ignore[index]
        )[0]["views"]
    )
    assert text.count("<svg") == 1
