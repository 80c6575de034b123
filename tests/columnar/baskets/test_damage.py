"""Whatever bytes are in a basket: an error or numbers, never a crash."""

import json
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from facility.columnar.baskets.positions import Layout

SEEDS = 200
LAYOUTS = (Layout.SPLIT, Layout.DELTA)
DETECTING = ("lz4", "zlib", "lzma")
"""Their blocks have a checksum; ROOT's ZSTD has none, and none has no bytes to spare."""


def test_flipped_and_missing_bytes(made, tmp_path):
    rng = np.random.default_rng(3)
    counts = rng.integers(0, 6, 400)
    made.flat("n", counts.astype("i4"), [200], "zlib")
    truth = {}
    for codec in ("none", "zstd", *DETECTING):
        used = "" if codec == "none" else codec
        content = rng.integers(0, 100, int(counts.sum())).astype("f4")
        lists = np.split(content, np.cumsum(counts)[:-1])
        made.flat(f"flat_{codec}", content[:400], [100, 350], used)
        made.lists(f"lists_{codec}", "n", content, counts, [100, 350], used, 500)
        made.vectors(f"vectors_{codec}", lists, [100, 350], used, "f4")
        made.paged_lists(
            f"paged_{codec}", content, counts, [100, 350], used, LAYOUTS, [200]
        )
        truth |= {f"flat_{codec}": content[:400].tolist()}
        kinds = ("lists", "vectors", "paged")
        truth |= {f"{kind}_{codec}": content.tolist() for kind in kinds}
    (tmp_path / "made.root").write_bytes(made.data)
    (tmp_path / "made.pickle").write_bytes(pickle.dumps((made.branches, truth)))
    script = Path(__file__).parent / "fuzz.py"
    command = [sys.executable, script, tmp_path, "0", str(SEEDS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    outcomes = Counter(json.loads(done.stdout))
    assert outcomes.total() == SEEDS * len(truth)
    for name in truth:
        assert outcomes[f"{name} error"] > SEEDS // 4, outcomes
        if name.endswith(DETECTING):
            assert not outcomes[f"{name} wrong"], outcomes
