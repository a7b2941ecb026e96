"""PhysML: the physics-driven Transformer potential (UAI 2023).

"Towards Physically Reliable Molecular Representation Learning". Where the paper is
silent (its appendix and code are not public) the values follow TorchMD-NET's
equivariant transformer; model cards name them as assumed.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import silu
from torch.utils.checkpoint import checkpoint

from ase_physml.errors import PotentialError
from ase_physml.graph import AtomGraph
from ase_physml.models.architecture import Architecture
from ase_physml.models.energy_model import Energies, EnergyModel
from ase_physml.models.physml.attention import AttentionBlock
from ase_physml.models.physml.basis import RadialBasis, envelope
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.elements import covalent_radius, electronegativity
from ase_physml.models.physml.pair_energy import PairEnergy, PairParameters, taper

_MAM_CLASSES = 14  # at least z = 1..14, which the paper's Fig 5 scores


class PhysML(EnergyModel):
    """Coulomb + Lennard-Jones pair terms and self-energies from learned atoms.

    ``E = sum_{i<j} E_ij + sum_i f_atom(x_i) + sum_i E0[z_i]`` (Eq 6), with x_i from
    neighbour embedding and ``depth`` Molecular Attention Blocks. The reference
    E0 is kept apart, in float64: totals near -10^4 eV do not fit float32.
    """

    config: PhysMLConfig
    electronegativities: Tensor
    radii: Tensor

    def __init__(self, config: PhysMLConfig) -> None:
        super().__init__(config)
        d = config.width
        n_species = len(config.elements) + 1  # the last row is [MASK]
        self._register_element_data()
        self.embedding = nn.Embedding(n_species, d - 1)
        self.basis = RadialBasis(n_species, config.n_basis, config.cutoff, config.alpha)
        self.neighbour_filter = nn.Linear(config.n_basis, d, bias=False)
        self.neighbour_mix = nn.Linear(d, d, bias=False)
        self.combine = nn.Linear(2 * d, d)
        # One product for the D^K and D^V of all blocks: psi is the same for all.
        self.distance_filters = nn.Linear(config.n_basis, 2 * d * config.depth)
        self.blocks = nn.ModuleList(
            AttentionBlock(d, config.heads, config.cls, config.a_mask)
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(d)
        self.cls = nn.Parameter(torch.randn(d) * 0.1) if config.cls != "none" else None
        self.cls_head = _head(d + 1, d // 2, 1) if config.cls_energy else None
        self.atom_head = _head(d, d // 2, 1) if config.atom_energy else None
        self.pair_energy = PairEnergy(d) if config.pair_energy else None
        self.element_bias = nn.Parameter(torch.zeros(n_species))
        n_classes = max(_MAM_CLASSES, config.elements[-1])
        self.mask_head = _head(d, d, n_classes) if config.mam else None
        self._initialise()

    def _register_element_data(self) -> None:
        elements = self.config.elements
        chi = [electronegativity(z) for z in elements] + [0.0]
        radii = [covalent_radius(z) for z in elements]
        radii.append(sum(radii) / len(radii))
        self.register_buffer(
            "electronegativities", _float32(chi).unsqueeze(-1), persistent=False
        )
        self.register_buffer("radii", _float32(radii), persistent=False)

    def _initialise(self) -> None:
        for linear in (
            self.neighbour_filter,
            self.neighbour_mix,
            self.combine,
            self.distance_filters,
        ):
            nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(self.combine.bias)
        nn.init.zeros_(self.distance_filters.bias)

    def forward(self, graph: AtomGraph) -> Energies:
        """Interaction energies of a batch; total = this + `reference_energy`."""
        species = self.species_of[graph.numbers]
        distance = graph.edge_distances()
        x, x_cls = self.encode(graph, species, distance)
        atoms = self.element_bias[species]
        pairs = None
        if self.atom_head is not None:
            atoms = atoms + self.atom_head(x).squeeze(-1)
        if self.pair_energy is not None:
            pairs, halves = self._all_pair_terms(
                graph, x, self.radii[species], distance
            )
            atoms = atoms + halves
        molecules = graph.sum_atoms(atoms.unsqueeze(-1)).squeeze(-1)
        if self.cls_head is not None and x_cls is not None:
            size = graph.atom_counts().log().unsqueeze(-1)
            molecules = molecules + self.cls_head(torch.cat([x_cls, size], -1))[:, 0]
        return Energies(molecules, atoms, pairs)

    def _all_pair_terms(
        self, graph: AtomGraph, x: Tensor, radii: Tensor, distance: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `_pair_terms`; of large molecules a part at a time.

        The parts are computed again for the gradient: what it needs of a million pairs
        would fill the memory.
        """
        parts = graph.pair_parts()
        if len(parts) == 1:
            return self._pair_terms(graph, x, radii, distance)
        terms = [
            checkpoint(
                self._pair_terms, part, x, radii, distance,
                use_reentrant=False, preserve_rng_state=False,
            )
            for part in parts
        ]  # fmt: skip
        pairs = torch.cat([energies for energies, _ in terms])
        return pairs, torch.stack([halves for _, halves in terms]).sum(0)

    def _pair_terms(
        self, graph: AtomGraph, x: Tensor, radii: Tensor, distance: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Energies of the pairs (*P), and halves of them on their atoms (*A)."""
        assert self.pair_energy is not None
        betas = self.pair_energy.parameters_of(graph, x, radii)
        between = graph.pair_distances(distance)
        pairs = self.pair_energy.energy(betas, between)
        if self.config.pair_cutoff is not None:
            pairs = pairs * taper(between, self.config.pair_cutoff)
        return pairs, graph.sum_pairs(pairs)

    def encode(
        self, graph: AtomGraph, species: Tensor, distance: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Atom features x^(L) (*A, d) and the [CLS] token (M, d), if there is one."""
        config = self.config
        phi = envelope(distance, config.cutoff)
        psi = self.basis(
            distance,
            phi,
            graph.receivers(self.basis.centres[species]),
            graph.receivers(self.basis.log_widths[species]),
        )
        x = self._embed(graph, species, psi)
        filters = silu(self.distance_filters(psi)).chunk(2 * config.depth, dim=-1)
        x_cls = None
        if self.cls is not None:
            x_cls = self.cls.expand(graph.n_molecules, -1)
        for layer, block in enumerate(self.blocks):
            keys_d, values_d = filters[2 * layer], filters[2 * layer + 1]
            x, x_cls = block(graph, x, x_cls, phi, keys_d, values_d)
        return self.norm(x), None if x_cls is None else self.norm(x_cls)

    def _embed(self, graph: AtomGraph, species: Tensor, psi: Tensor) -> Tensor:
        """Element + electronegativity (Eq 1), then the neighbours' (Eq 4)."""
        own = torch.cat(
            [self.embedding(species), self.electronegativities[species]], dim=-1
        )
        others = (~graph.self_edge).to(psi.dtype).unsqueeze(-1)
        weighted = graph.senders(own) * self.neighbour_filter(psi) * others
        around = self.neighbour_mix(graph.sum_edges(weighted))
        mixed: Tensor = self.combine(torch.cat([own, around], dim=-1))
        return mixed

    def mask_logits(self, graph: AtomGraph) -> Tensor:
        """Scores (*A, C) of z = 1..C for each atom; mask atoms with number 0."""
        if self.mask_head is None:
            raise PotentialError("this model was built without a MAM head (mam=False)")
        species = self.species_of[graph.numbers]
        x, _ = self.encode(graph, species, graph.edge_distances())
        logits: Tensor = self.mask_head(x)
        return logits

    def pair_parameters(self, graph: AtomGraph) -> PairParameters:
        """Learned charge product, depth, exponent and distance of every pair."""
        if self.pair_energy is None:
            raise PotentialError("this model has no pair terms (pair_energy=False)")
        species = self.species_of[graph.numbers]
        x, _ = self.encode(graph, species, graph.edge_distances())
        return self.pair_energy.parameters_of(graph, x, self.radii[species])


def _float32(values: list[float]) -> Tensor:
    """Element data, whatever torch's default dtype: a model is trained with these."""
    return torch.tensor(values, dtype=torch.float32)


def _head(width: int, hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.SiLU(), nn.Linear(hidden, out))


PHYSML = Architecture("physml", "atoms", PhysMLConfig, PhysML)
