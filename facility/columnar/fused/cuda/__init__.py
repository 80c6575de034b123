"""Kernels on NVIDIA GPUs, by numba-cuda (extra ``gpu``), or in numba's simulator."""

from facility.columnar.fused.cuda.memory import pinned_buffers
from facility.columnar.fused.cuda.running import Compiled, device_name

__all__ = ["Compiled", "device_name", "pinned_buffers"]
