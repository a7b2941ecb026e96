// What Python hands over: `binding.py` mirrors both structures, field by field.
#pragma once

#include <cstdint>

// Architecture and weights of a PhysML. Channels come in groups of 16, zeros where the
// model has fewer. T is float or double.
struct Model {
    int64_t width;      // W: channels, filled up
    int64_t channels;   // those of the model
    int64_t hidden;     // of the atoms' head, filled up; 0 without it
    int64_t flow;       // of the charges' projections, filled up; 0 without charges
    int64_t directed;   // of heads that know angles, a multiple of H; 0 without them
    int64_t depth;      // layers
    int64_t heads;      // H: channel c belongs to head c % H; a power of two or n * 16
    int64_t species;    // S
    int64_t nodes;      // of each curve
    int64_t betas;      // of a pair: 5 (the paper's), 3 (with charges), 0 (no pairs)
    double cutoff;      // of attention, Å
    double reach;       // of pairs, Å
    double pair_cutoff; // where wells have faded, Å
    double step;        // spacing of the nodes in d / (1 + d)
    const void* weights;
    const void* curves; // (S, W (2 L + 1) * nodes * 3)
    void* transposed;   // of the square ones, filled by `prepare`
};

// Structures, and what comes out: M structures, A atoms, P pairs.
struct Batch {
    int64_t structures;
    int64_t atoms;
    int64_t pairs;             // -1: molecules, of which all distances are measured
    const int64_t* species;    // (A)
    const int64_t* starts;     // first atom of each structure, and the end, (M + 1)
    const double* positions;   // (A, 3) Å
    const int64_t* pair_atoms; // (2, P)
    const double* vectors;     // first to second atom of each pair, (P, 3) Å
    double splitting;          // of Ewald's sum, 1/Å; 0 for molecules
    const int64_t* wave_starts; // first wave of each structure, and the end, (M + 1)
    const double* waves;        // (K, 4): k in 1/Å, and its weight in eV/e^2
    // Of the sum whose gradients are wanted: sum_m a_m E_m + sum_i c_i q_i.
    const double* by_energies; // a, (M); null for ones
    const double* by_charges;  // c, (A); null for zeros
    double* energies;          // of atoms, (A) eV
    double* charges;           // (A) e
    double* forces;            // (A, 3) eV/Å
    double* strain;            // gradients by it, (M, 3, 3) eV
    void* by_weights;          // null unless wanted; then there are no forces
    void* by_curves;
    double shortest;           // distance of the nearest pair, Å
    double largest;            // hidden feature of pairs
    int64_t alone; // place in its molecule of an atom that no edges link to the first
    int64_t near;  // pairs within the cutoff
};

// Curves of S elements from a radial basis of F functions (filled up), for C channels.
struct Tables {
    int64_t species, nodes, functions, width, depth;
    const double* factors; // envelope, its derivatives, and those of d by the node:
                           // phi, phi', phi'', d', d'', (nodes, 5)
    const void* basis;     // with derivatives by the distance, (3, S * nodes, F)
    const void* filters;   // (C, F): D^K and D^V of each layer, then the neighbours'
    const void* bias;      // (C)
    void* products;        // room that the way back finds again, (3, S * nodes, C)
    void* curves;          // or, on the way back, gradients by them
    void *by_basis, *by_filters, *by_bias;  // null on the way there
};

// Memory of a thread, which the next call finds again (dispatch.cpp).
void* take_bytes(uint64_t bytes);
