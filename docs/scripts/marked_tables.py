"""Tables of measured figures, each from the one place where the figure is stored.

    python docs/scripts/marked_tables.py

writes them anew into the README, between `<!-- table: NAME -->` and `<!-- end -->`.
A card in the file of a model, or a JSON of results, that changes changes them.
"""

import re
import textwrap
from collections.abc import Callable, Sequence

from figures import ROOT, Figures, all_figures, elements_of, errors_on_card, stored

from ase_physml.evaluation.certificate import LIMITS, Verdict, verdicts

_MARKED = re.compile(r"^( *)(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.S | re.M)
# Not for users, but for comparing with and for starting from.
_NOT_SHOWN = (
    "qm9_energy_only.pt",
    "qm9_equilibrium.pt",
    "descriptors.pt",
    "hamnet_qm9.pt",
)
_CONFORMERS = ROOT / "training/physchem/results/conformers.json"
_LATENCY = ROOT / "benchmarks/results/latency.json"
_CERTIFICATES = ROOT / "benchmarks/results/certificates.json"
_NAMES = {
    "native": "native",
    "native float32": "native, float32",
    "torch": "torch",
    "tblite:GFN2-xTB": "GFN2-xTB",
    "ani:ANI1x": "ANI-1x",
    "emt": "EMT",
}


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def potentials(link: str) -> str:
    """Shipped potentials: elements, purpose, errors and time."""
    found = [f for f in all_figures() if f.about.level_of_theory != "-"]
    rows = [_potential(f, link) for f in found if f.about.name not in _NOT_SHOWN]
    heads = ("", "elements", "for", "not for", "level of theory", "errors", "ms")
    return table(heads, rows)


def models(link: str) -> str:
    """Shipped models of molecules, which start from SMILES."""
    found = [f for f in all_figures() if f.about.level_of_theory == "-"]
    rows = [
        [_linked(f, link), f.about.purpose, ", ".join(f.about.not_for), _errors(f)]
        for f in found
        if f.about.name not in _NOT_SHOWN
    ]
    return table(("from SMILES", "for", "not for", "errors"), rows)


def models_in_a_line(link: str) -> str:
    """The same models in a sentence."""
    found = [f for f in all_figures() if f.about.level_of_theory == "-"]
    said = [
        f"{_linked(f, link)} ({f.about.purpose}: {_errors(f)})"
        for f in found
        if f.about.name not in _NOT_SHOWN
    ]
    return "\n".join(textwrap.wrap(", ".join(said) + ".", 88)) + "\n"


def alternatives() -> str:
    """Other methods: where each is the better choice, and where ours is."""
    delta, organic = (errors_on_card(n)[0] for n in ("qm9_delta", "organic_delta"))
    barriers = errors_on_card("reactions_delta")[0]
    few, many = stored(_LATENCY)["single"][0], stored(_LATENCY)["single"][-1]
    faster = [1 / one["first_of"]["tblite:GFN2-xTB"] for one in (few, many)]
    closer = stored(_CONFORMERS)
    ours, rdkit = (
        closer[f"{kind}, n=1"]["mean A"]
        for kind in ("predicted + qm9.pt", "ETKDGv3 + MMFF94")
    )
    rows = [
        [
            "GFN2-xTB",
            "any element, ions and radicals, vibrations, molecules apart from each "
            "other; nothing to be trained on",
            f"`qm9.pt` takes 1/{faster[0]:.0f} of its time at {few['atoms']} atoms, "
            f"1/{faster[1]:.0f} at {many['atoms']}; `*_delta.pt` correct it to DFT: "
            f"forces at minima {delta['mae_force_eV_per_A']:.3f} for "
            f"{delta['baseline_mae_force_eV_per_A']:.3f} eV/Å, conformers "
            f"{organic['mae_difference_meV']:.0f} for "
            f"{organic['baseline_mae_difference_meV']:.0f} meV, barriers "
            f"{barriers['mae_difference_meV'] / 1e3:.2f} for "
            f"{barriers['baseline_mae_difference_meV'] / 1e3:.2f} eV",
        ],
        [
            "AIMNet2, MACE-OFF",
            "more elements (AIMNet2: ions), trained on millions of DFT frames: "
            "dynamics, dimers, torsions; a GPU",
            "milliseconds on one CPU core; saddles and metal surfaces; refuses what "
            "it has not learned, and says what it doubts; weights under MIT",
        ],
        [
            "RDKit alone",
            "any drug-like molecule, hundreds a second",
            f"geometries nearer to DFT ({ours:.2f} for {rdkit:.2f} Å in the mean, "
            "ETKDGv3 with MMFF94), with energies that rank them",
        ],
    ]
    return table(("instead of", "it is better at", "we are better at"), rows)


def latency() -> str:
    """Time of energy and forces, call by call, on one thread."""
    found = stored(_LATENCY)
    names = list(found["single"][0]["ms"])
    rows = [
        [f"{one['atoms']} atoms", *(f"{one['ms'][name]:.1f}" for name in names)]
        for one in found["single"]
    ]
    batch = found["batch"]["ms"]
    cells = [f"{batch[name]:.0f}" if name in batch else "" for name in names]
    rows.append(["64 molecules of 18 atoms", *cells])
    return table(("ms", *(_NAMES.get(name, name) for name in names)), rows)


def limits() -> str:
    """Limits of the certificate of `physml evaluate`."""
    rows = [
        [f"`{suite}`", f"{one.row}: {one.column}", *one.values(), one.why]
        for suite, those in LIMITS.items()
        for one in those
    ]
    return table(("suite", "figure", "PASS", "WARN", "since"), rows)


def certificates() -> str:
    """Verdicts of all suites on calculators side by side, with numbers of cases."""
    found = verdicts(stored(_CERTIFICATES))
    names = list(dict.fromkeys(name for by in found.values() for name in by))
    rows = []
    for suite, by in found.items():
        marks = [_verdict(by[name]) if name in by else "" for name in names]
        rows.append([f"`{suite}`", *marks])
    return table(("suite", *(_NAMES.get(name, f"`{name}`") for name in names)), rows)


def _verdict(one: Verdict) -> str:
    """Mark in its colour, and the number of cases."""
    if not one.mark:
        return "not measured"
    return f'<span class="mark {one.mark}">{one.mark}</span> {one.cases}'


def certificate_figures() -> str:
    """Figures behind the verdicts."""
    found = stored(_CERTIFICATES)
    names = list(dict.fromkeys(name for by in found.values() for name in by))
    rows = []
    for suite, by in found.items():
        for one in LIMITS.get(suite, ()):
            values = [
                by[n]["rows"].get(one.row, {}).get(one.column) if n in by else None
                for n in names
            ]
            said = ["" if value is None else f"{value:.3g}" for value in values]
            rows.append([f"`{suite}`, {one.row}: {one.column}", one.values()[0], *said])
    heads = ("figure", "PASS", *(_NAMES.get(name, f"`{name}`") for name in names))
    return table(heads, rows)


def first_results() -> str:
    """Time to the first result of a process, imports included."""
    found = stored(_LATENCY)["first result"]
    rows = [[name, f"{one['of a processor']:.1f}"] for name, one in found.items()]
    return table(("first result of a process", "s of a core"), rows)


def _potential(found: Figures, link: str) -> list[str]:
    about = found.about
    times = found.milliseconds
    shown = [_brief(times[n]) for n in sorted(times)[:2]]
    return [
        _linked(found, link),
        elements_of(about.elements),
        about.purpose,
        ", ".join(about.not_for),
        about.level_of_theory,
        _errors(found),
        " / ".join(shown) or "",
    ]


def _brief(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _linked(found: Figures, link: str) -> str:
    name = found.about.name
    return f"[`{name}`]({link.format(name.removesuffix('.pt'))})"


def _errors(found: Figures) -> str:
    return "; ".join(found.errors[:2])


TABLES: dict[str, Callable[[str], str]] = {
    "potentials": potentials,
    "models": models,
    "models_in_a_line": models_in_a_line,
    "alternatives": lambda _: alternatives(),
    "limits": lambda _: limits(),
    "certificates": lambda _: certificates(),
    "certificate_figures": lambda _: certificate_figures(),
    "latency": lambda _: latency(),
    "first_results": lambda _: first_results(),
}


def renewed(text: str, link: str = "potentials/{}.md") -> str:
    """A text with its marked tables written anew; `link` is that of a model's card."""

    def renew(found: re.Match[str]) -> str:
        made = textwrap.indent(f"\n{TABLES[found[3]](link)}\n", found[1])
        return f"{found[1]}{found[2]}{made}{found[1]}{found[4]}"

    return _MARKED.sub(renew, text)


def main() -> None:
    readme = ROOT / "README.md"
    readme.write_text(renewed(readme.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
