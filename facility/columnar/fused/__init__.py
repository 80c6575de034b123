"""Kernels: ordinary loops over one event, compiled to one pass over flat arrays."""

from facility.columnar.fused.errors import KernelError
from facility.columnar.fused.kernel import Kernel, kernel

__all__ = ["Kernel", "KernelError", "kernel"]
