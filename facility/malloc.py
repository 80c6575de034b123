"""How notebook servers and workers hold on to memory between chunks.

Arrays of tens of megabytes come and go with every chunk. To get them anew from the
kernel costs more than to fill them: Dask's nanny, which trims the heap at 64 KiB,
takes half of the throughput. With this setting a process keeps what it once had.

What that costs, over an hour of the dimuon analysis in chunks of 100,000 to 800,000
events (``tests/benchmarks/malloc.py``, one process each, 1.6 to 1.9 billion events):

============  ==============  ===========  ==========================
setting       resident, end   its peak     page faults / million events
============  ==============  ===========  ==========================
Dask's nanny  112 MB          204 MB       72,700
glibc's own   145 MB          244 MB       19,800
ours          245 MB          244 MB       13
============  ==============  ===========  ==========================

So it is the peak of the largest chunk, kept (130 MB more), and it does not grow: 233 MB
after six minutes, 245 MB after sixty.
"""

from __future__ import annotations

MALLOC = {
    "MALLOC_TRIM_THRESHOLD_": "1000000000",
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
}
"""Environment variables that glibc reads when a process starts (mallopt(3))."""
