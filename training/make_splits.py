"""Make the splits of the QM9 sets, by index.

    python training/make_splits.py qm9_energies.h5

80 % training, 5 % validation, 15 % test, as in the paper; validation and test indices
and their hash are stored in training/splits/.
"""

import sys
from pathlib import Path

from ase_physml.data.ragged import RaggedSet
from ase_physml.data.splits import make_split

FRACTIONS = (0.05, 0.15)


def main() -> None:
    for name in sys.argv[1:]:
        path = Path(name)
        split = make_split(len(RaggedSet(path)), FRACTIONS, seed=0)
        out = Path(__file__).parent / "splits" / f"{path.stem}.json"
        out.parent.mkdir(exist_ok=True)
        split.save(out)
        print(f"{out}: {len(split.train)} / {len(split.val)} / {len(split.test)}")


if __name__ == "__main__":
    main()
