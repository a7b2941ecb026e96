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
from ase_physml.graph import AtomGraph, PeriodicEdgeList
from ase_physml.models.architecture import Architecture
from ase_physml.models.energy_model import Energies, EnergyModel
from ase_physml.models.physml.attention import AttentionBlock, directions_of
from ase_physml.models.physml.basis import RadialBasis, envelope
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.coulomb import (
    AtomicCharges,
    reciprocal_energies,
    screened,
)
from ase_physml.models.physml.elements import (
    contact_depth,
    contact_radius,
    covalent_radius,
    electronegativity,
)
from ase_physml.models.physml.pair_energy import (
    COULOMB,
    AtomData,
    PairEnergy,
    PairParameters,
    coulomb_energy,
    taper,
)

_MAM_CLASSES = 14  # at least z = 1..14, which the paper's Fig 5 scores
# Ewald's splitting parameter times the cutoff: erfc(4) = 2e-8.
_SPLIT = 4.0


class PhysML(EnergyModel):
    """Coulomb + Lennard-Jones pair terms and self-energies from learned atoms.

    ``E = sum_{i<j} E_ij + sum_i f_atom(x_i) + sum_i E0[z_i]`` (Eq 6), with x_i from
    neighbour embedding and ``depth`` Molecular Attention Blocks. The reference
    E0 is kept apart, in float64: totals near -10^4 eV do not fit float32.
    """

    config: PhysMLConfig
    electronegativities: Tensor
    radii: Tensor
    contact_radii: Tensor
    contact_depths: Tensor

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
            AttentionBlock(d, config.heads, config.cls, config.a_mask, config.angular)
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(d)
        self.cls = nn.Parameter(torch.randn(d) * 0.1) if config.cls != "none" else None
        self.cls_head = _head(d + 1, d // 2, 1) if config.cls_energy else None
        self.atom_head = _head(d, d // 2, 1) if config.atom_energy else None
        terms = config.pair_terms
        self.pair_energy = PairEnergy(d, terms) if config.pair_energy else None
        self.charges = AtomicCharges(d) if config.has_charges else None
        self.element_bias = nn.Parameter(torch.zeros(n_species))
        n_classes = max(_MAM_CLASSES, config.elements[-1])
        self.mask_head = _head(d, d, n_classes) if config.mam else None
        self._initialise()

    def _register_element_data(self) -> None:
        elements = self.config.elements
        chi = [electronegativity(z) for z in elements] + [0.0]
        tables = {
            "radii": [covalent_radius(z) for z in elements],
            "contact_radii": [contact_radius(z) for z in elements],
            "contact_depths": [contact_depth(z) for z in elements],
        }
        for name, values in tables.items():
            values.append(sum(values) / len(values))
            self.register_buffer(name, _float32(values), persistent=False)
        self.register_buffer(
            "electronegativities", _float32(chi).unsqueeze(-1), persistent=False
        )

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
        pairs = charges = None
        if self.atom_head is not None:
            atoms = atoms + self.atom_head(x).squeeze(-1)
        if self.pair_energy is not None:
            data = self._atom_data(graph, species, x, distance)
            pairs, halves = self._all_pair_terms(graph, x, data, distance)
            atoms = atoms + halves
            if self.charges is not None:
                charges = data.charges
                if isinstance(graph, PeriodicEdgeList):
                    atoms = atoms + self._reciprocal(graph, charges)
        molecules = graph.sum_atoms(atoms.unsqueeze(-1)).squeeze(-1)
        if self.cls_head is not None and x_cls is not None:
            size = graph.atom_counts().log().unsqueeze(-1)
            molecules = molecules + self.cls_head(torch.cat([x_cls, size], -1))[:, 0]
        return Energies(molecules, atoms, pairs, charges)

    def _all_pair_terms(
        self, graph: AtomGraph, x: Tensor, data: AtomData, distance: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `_pair_terms`; of large molecules a part at a time.

        The parts are computed again for the gradient: what it needs of a million pairs
        would fill the memory.
        """
        parts = graph.pair_parts()
        if len(parts) == 1:
            return self._pair_terms(graph, x, data, distance)
        terms = [
            checkpoint(
                self._pair_terms, part, x, data, distance,
                use_reentrant=False, preserve_rng_state=False,
            )
            for part in parts
        ]  # fmt: skip
        pairs = torch.cat([energies for energies, _ in terms])
        return pairs, torch.stack([halves for _, halves in terms]).sum(0)

    def _pair_terms(
        self, graph: AtomGraph, x: Tensor, data: AtomData, distance: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Energies of the pairs (*P), and halves of them on their atoms (*A)."""
        assert self.pair_energy is not None
        between = graph.pair_distances(distance)
        cutoff = self.config.pair_cutoff
        fading = 1.0 if cutoff is None else taper(between, cutoff)
        if self.charges is None:
            betas = self.pair_energy.parameters_of(graph, x, data.radii)
            pairs = self.pair_energy.energy(betas, between) * fading
            return pairs, graph.sum_pairs(pairs)
        betas = self.pair_energy.physical_parameters_of(graph, x, data, between)
        pairs = self.pair_energy.well(betas, between) * fading
        pairs = pairs + coulomb_energy(betas, between, *graph.pair_atoms(data.radii))
        if isinstance(graph, PeriodicEdgeList):
            far = screened(between, self.splitting())
            pairs = pairs - COULOMB * betas.charge_product * far
        return pairs, graph.sum_pairs(pairs)

    def _atom_data(
        self, graph: AtomGraph, species: Tensor, x: Tensor, distance: Tensor
    ) -> AtomData:
        radii = self.radii[species]
        if self.charges is None:
            # The paper's terms read nothing else.
            return AtomData(radii, radii, radii, radii)
        phi = envelope(distance, self.config.cutoff)
        charges = self.charges(graph, x, self.electronegativities[species], phi)
        contacts = self.contact_radii[species]
        return AtomData(charges, radii, contacts, self.contact_depths[species])

    def splitting(self) -> float:
        """Ewald's splitting parameter of models with charges, 1/Å."""
        assert self.config.pair_cutoff is not None
        return _SPLIT / self.config.pair_cutoff

    def _reciprocal(self, graph: PeriodicEdgeList, charges: Tensor) -> Tensor:
        """Energies of atoms (A,) in eV from Ewald's reciprocal sum."""
        sizes = graph.counts.tolist()
        parts = zip(
            graph.positions.split(sizes), charges.split(sizes), graph.cell, strict=True
        )
        alpha = self.splitting()
        return COULOMB * torch.cat([reciprocal_energies(*p, alpha) for p in parts])

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
        directions = directions_of(graph, distance) if config.angular else None
        for layer, block in enumerate(self.blocks):
            keys_d, values_d = filters[2 * layer], filters[2 * layer + 1]
            x, x_cls = block(graph, x, x_cls, phi, keys_d, values_d, directions)
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
        distance = graph.edge_distances()
        x, _ = self.encode(graph, species, distance)
        data = self._atom_data(graph, species, x, distance)
        if self.charges is None:
            return self.pair_energy.parameters_of(graph, x, data.radii)
        between = graph.pair_distances(distance)
        return self.pair_energy.physical_parameters_of(graph, x, data, between)

    def pair_deviations(self, graph: AtomGraph) -> Tensor:
        """Logarithms of depth, exponent and distance over chemistry's, (*P, 3).

        Raises:
            PotentialError: The model's pair terms do not start at chemistry.
        """
        if self.pair_energy is None or not self.config.has_charges:
            raise PotentialError("only physical pair terms start at chemistry")
        species = self.species_of[graph.numbers]
        x, _ = self.encode(graph, species, graph.edge_distances())
        return self.pair_energy.deviations_of(graph, x)


def _float32(values: list[float]) -> Tensor:
    """Element data, whatever torch's default dtype: a model is trained with these."""
    return torch.tensor(values, dtype=torch.float32)


def _head(width: int, hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.SiLU(), nn.Linear(hidden, out))


PHYSML = Architecture("physml", "atoms", PhysMLConfig, PhysML)
