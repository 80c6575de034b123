"""numba's CUDA: the part of numba that has no types."""

from __future__ import annotations

from typing import Any

import numba
import numba.cuda

cuda: Any = numba.cuda
# Small chunks leave a GPU idle: that is known, and what the measured choice is for.
vars(numba.config)["CUDA_LOW_OCCUPANCY_WARNINGS"] = 0
IS_SIMULATED = bool(vars(numba.config)["ENABLE_CUDASIM"])
"""Whether kernels run as plain Python on the host, as in tests."""
