"""Page of a set of reactions: certificates, profiles, modes, and the atoms in 3D.

One file that needs no network: 3Dmol.js (Rego and Koes, Bioinformatics 31, 1322, 2015;
BSD-3-Clause) is inside.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import ase
import numpy as np
from ase import Atoms
from markupsafe import Markup

from ase_physml import __version__
from ase_physml.data.frame import Array
from ase_physml.evaluation.page import TEMPLATES
from ase_physml.jobs.disk import atomic_write
from ase_physml.workflows.paths.reaction_path import ReactionPath

_VIEWER = Path(__file__).with_name("viewer") / "3Dmol-min.js"
# Pixels of a picture, and of its margin.
_WIDTH, _HEIGHT, _MARGIN = 460, 260, 40
# Frames of a path, at most; of a vibration; Å, its largest displacement.
_FRAMES, _PERIOD, _AMPLITUDE = 40, 20, 0.35


def write_reactions(
    path: Path, found: Mapping[str, ReactionPath | Exception], title: str
) -> None:
    """Write the page; it needs no network and no other file.

    Args:
        path: HTML file, replaced if it exists.
        found: Paths by name, or why there is none.
        title: Title of the page.
    """
    paths = {n: one for n, one in found.items() if isinstance(one, ReactionPath)}
    structures = [_structures(one) for one in paths.values()]
    page = TEMPLATES.get_template("reactions.html.j2").render(
        title=title,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        version=__version__,
        ase_version=ase.__version__,
        viewer=Markup(_VIEWER.read_text("utf-8")),
        reactions=[
            _about(name, one, list(shown["views"]))
            for (name, one), shown in zip(paths.items(), structures, strict=True)
        ],
        failed={n: str(one) for n, one in found.items() if isinstance(one, Exception)},
        structures=structures,
    )
    with atomic_write(path) as partial:
        partial.write_text(page, encoding="utf-8")


def _about(name: str, path: ReactionPath, views: list[str]) -> dict[str, Any]:
    """Texts and pictures of a reaction."""
    top = path.top
    lines = list(path.flaws)
    if path.certificate is not None:
        lines = list(path.certificate.reasons)
    spread = "" if path.barrier_std is None else f" ± {path.barrier_std:.3f}"
    zero_point = ""
    if path.sound and top is not None and top.zero_point is not None:
        zero_point = f"{path.barrier + top.zero_point[0]:.3f}"
    wrong = np.empty(0) if top is None else top.vibrations.imaginary
    if top is not None:
        lines.append(
            f"{top.evaluations} energies and forces for saddle and descents, "
            f"{len(top.forces) - 1} steps to the saddle"
        )
    return {
        "name": name,
        "grade": path.grade,
        "lines": [*lines, *path.remarks],
        "barrier": f"{path.barrier:.3f}{spread}" if path.sound else "none",
        "back": f"{path.barrier_back:.3f}" if path.sound else "none",
        "energy": f"{path.reaction_energy:+.3f}",
        "mode": f"{-wrong[0]:.0f}i" if len(wrong) else "",
        "zero_point": zero_point,
        "views": views,
        "profile": _profile(path),
        "spectrum": "" if top is None else _spectrum(top.vibrations.frequencies),
    }


def _structures(path: ReactionPath) -> dict[str, Any]:
    """Frames that the page shows, by the name of the button."""
    first, highest = path.images[0], path.transition_state
    turn = _face_on(highest)
    levels = path.energies - path.energies[0]
    views = {
        "reactant": _view([first], levels[:1], turn),
        "product": _view([path.images[-1]], levels[-1:], turn),
        "band": _view(path.images, levels, turn),
    }
    if path.top is not None:
        saddle, zero = path.top.atoms, float(path.energies[0])
        height = np.array([path.top.energy - zero])
        views["saddle"] = _view([saddle], height, turn)
        views["mode"] = _vibration(saddle, path.top.vibrations.modes[0], turn)
        if path.top.path:
            keep = _spread_over(len(path.top.path))
            images = [path.top.path[k] for k in keep]
            views["descent"] = _view(images, path.top.energies[keep] - zero, turn)
    return {"symbols": list(first.symbols), "views": views}


def _face_on(atoms: Atoms) -> Array:
    """Rotation, (3, 3), that lays a molecule into the plane of the picture."""
    if atoms.pbc.any():
        return np.eye(3)
    _, axes = atoms.get_moments_of_inertia(vectors=True)
    axes[2] = np.cross(axes[0], axes[1])  # no mirror image
    turn: Array = axes.T
    return turn


def _spread_over(count: int) -> list[int]:
    places = np.linspace(0, count - 1, min(count, _FRAMES))
    return sorted({round(place) for place in places})


def _view(images: Sequence[Atoms], energies: Array, turn: Array) -> dict[str, Any]:
    return {
        "frames": [_frame_of(image.positions @ turn) for image in images],
        "energies": np.round(energies, 4).tolist(),
        "loop": False,
    }


def _frame_of(positions: Array) -> list[float]:
    found: list[float] = np.round(positions, 3).ravel().tolist()
    return found


def _vibration(atoms: Atoms, mode: Array, turn: Array) -> dict[str, Any]:
    scale = _AMPLITUDE / np.linalg.norm(mode, axis=1).max()
    phases = np.sin(np.linspace(0.0, 2.0 * np.pi, _PERIOD, endpoint=False))
    frames = [atoms.positions + scale * phase * mode for phase in phases]
    return {
        "frames": [_frame_of(frame @ turn) for frame in frames],
        "energies": None,
        "loop": True,
    }


def _profile(path: ReactionPath) -> Markup:
    """Energies of the images, and of the descents through the saddle, as SVG."""
    zero = float(path.energies[0])
    curves = [(_along(path.images), path.energies - zero)]
    if path.top is not None and path.top.path:
        curves.append((_along(path.top.path), path.top.energies - zero))
    low = min(float(y.min()) for _, y in curves)
    high = max(float(y.max()) for _, y in curves)
    span = max(high - low, 1e-3)

    def place(x: Array, y: Array) -> list[tuple[float, float]]:
        wide, tall = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN
        across = _MARGIN + wide * (x - x[0]) / max(float(x[-1] - x[0]), 1e-9)
        down = _HEIGHT - _MARGIN - tall * (y - low) / span
        return list(zip(across.tolist(), down.tolist(), strict=True))

    parts = [_frame("way from reactant to product, each curve from end to end", "eV")]
    for height in np.linspace(low, high, 4):
        level = _HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * (height - low) / span
        parts.append(f'<text x="4" y="{level + 4:.0f}">{height:.2f}</text>')
    if len(curves) > 1:
        points = place(*curves[1])
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="down" points="{drawn}"/>')
        x, y = points[int(curves[1][1].argmax())]
        parts.append(f'<circle class="top" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
    for x, y in place(*curves[0]):
        parts.append(f'<circle class="band" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>')
    return _svg(parts, _HEIGHT)


def _along(images: Sequence[Atoms]) -> Array:
    """Way along images, Å."""
    steps = [
        float(np.linalg.norm(after.positions - before.positions))
        for before, after in pairwise(images)
    ]
    return np.concatenate([[0.0], np.cumsum(steps)])


def _spectrum(frequencies: Array) -> Markup:
    """Frequencies of the saddle as lines, the imaginary ones to the left, as SVG."""
    low, high = min(float(frequencies[0]), 0.0) - 100.0, float(frequencies[-1]) + 100.0

    def place(value: float) -> float:
        return _MARGIN + (_WIDTH - 2 * _MARGIN) * (value - low) / (high - low)

    def lines() -> Iterator[str]:
        for value in frequencies:
            x, kind = place(float(value)), "wrong" if value < 0.0 else "line"
            yield f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="12" y2="46"/>'
        named = [f for f in frequencies if f < 0.0] + [frequencies[-1]]
        for value in named:
            text = f"{-value:.0f}i" if value < 0.0 else f"{value:.0f}"
            x = place(float(value))
            yield f'<text x="{x:.1f}" y="60" text-anchor="middle">{text}</text>'

    where = f'x="{_WIDTH / 2}" y="78" text-anchor="middle"'
    title = f"<text {where}>frequencies of the saddle, cm⁻¹</text>"
    return _svg([*lines(), title], 84)


def _frame(below: str, beside: str) -> str:
    left, right, bottom = _MARGIN - 6, _WIDTH - 10, _HEIGHT - _MARGIN + 8
    return (
        f'<line class="axis" x1="{left}" x2="{left}" y1="20" y2="{bottom}"/>'
        f'<line class="axis" x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>'
        f'<text x="4" y="14">{beside}</text>'
        f'<text x="{_WIDTH / 2}" y="{bottom + 18}" text-anchor="middle">{below}</text>'
    )


def _svg(parts: Sequence[str], height: int) -> Markup:
    inside = "".join(parts)
    # Of numbers and our own words: nothing in it is anybody's to escape.
    return Markup(f'<svg viewBox="0 0 {_WIDTH} {height}" role="img">{inside}</svg>')
