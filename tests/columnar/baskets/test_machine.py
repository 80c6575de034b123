"""The decoder as machine code: made once, loaded without numba."""

import subprocess
import sys

from facility.columnar.baskets.machine import decoder, is_compiled

LOADED = """
import sys
from facility.columnar.baskets.machine import decoder, is_compiled
import numpy as np
from facility.columnar.baskets.requests import Slot
assert is_compiled()
assert decoder()(np.zeros(len(Slot), np.int64).ctypes.data) == 0  # no baskets
print("numba" in sys.modules)
"""


def test_another_process_loads_what_this_one_compiled():
    decoder()
    assert is_compiled()
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False"]
