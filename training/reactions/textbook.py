"""Reactions that are in every book: mapped SMILES, and barriers in eV.

Of experiments (activation energies) or of coupled clusters.
"""

TEXTBOOK = {
    "malonaldehyde, H transfer": (
        r"[O:1]=[CH:2]/[CH:3]=[CH:4]\[OH:5]>>[OH:1]/[CH:2]=[CH:3]\[CH:4]=[O:5]", 0.17,
    ),
    "HCN to HNC": ("[CH:1]#[N:2]>>[C-:1]#[NH+:2]", 2.1),
    "vinyl alcohol to acetaldehyde": (
        "[CH2:1]=[CH:2][OH:3]>>[CH3:1][CH:2]=[O:3]", 2.43,
    ),
    "Diels-Alder, butadiene and ethene": (
        "[CH2:1]=[CH:2][CH:3]=[CH2:4].[CH2:5]=[CH2:6]>>"
        "[CH2:1]1[CH:2]=[CH:3][CH2:4][CH2:5][CH2:6]1", 1.0,
    ),
    "cyclobutene to butadiene": (
        "[CH2:1]1[CH2:4][CH:3]=[CH:2]1>>[CH2:1]=[CH:2][CH:3]=[CH2:4]", 1.43,
    ),
    "Claisen, allyl vinyl ether": (
        "[CH2:1]=[CH:2][O:3][CH2:4][CH:5]=[CH2:6]>>"
        "[CH2:1]([CH:2]=[O:3])[CH2:6][CH:5]=[CH2:4]", 1.33,
    ),
    "methyl isocyanide to acetonitrile": (
        "[CH3:1][N+:2]#[C-:3]>>[CH3:1][C:3]#[N:2]", 1.67,
    ),
    "formaldehyde to H2 and CO": (
        "[O:1]=[C:2]([H:3])[H:4]>>[O+:1]#[C-:2].[H:3][H:4]", 3.5,
    ),
}  # fmt: skip
