"""How notebook servers and workers hold on to memory between chunks.

Arrays of tens of megabytes come and go with every chunk. To get them anew from the
kernel costs more than to fill them: Dask's nanny, which trims the heap at 64 KiB,
takes half of the throughput. With this setting a process keeps what it once had; over
an hour of chunks that is its first peak, and it does not grow (measured by
``tests/benchmarks/malloc.py``).
"""

from __future__ import annotations

MALLOC = {
    "MALLOC_TRIM_THRESHOLD_": "1000000000",
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
}
"""Environment variables that glibc reads when a process starts (mallopt(3))."""
