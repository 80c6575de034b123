"""Kernels: ordinary loops over one event, compiled to one pass over flat arrays.

What a body may say
-------------------
- Loops over collections (``for jet in event.Jet``), their ``.pairs()`` and
  ``.combinations(2..4)``, ``itertools.chain`` of several, ``enumerate``, ``range``,
  tuples; ``while``, ``break``, ``continue``, ``return`` (the next event).
- ``if``, ``x if c else y``, ``and``, ``or``, ``not``, chained comparisons, ``in`` a
  tuple, ``is``; assignments, also of several and augmented ones; variables hold
  numbers, objects, four-momenta, or None.
- ``event.Jet[0]``, ``len(event.Jet)``, ``event.MET.pt``, any branch: ``event.run``.
- Fields of objects, and of all that have a four-momentum and of sums of them:
  ``pt eta phi mass px py pz energy p rapidity``, ``delta_r(other)``,
  ``delta_phi(other)``, ``transverse_mass(other)``.
- ``math`` and numpy functions of numbers, ``abs min max int float bool len``; ``any``,
  ``all``, ``sum``, ``min``, ``max`` of generators; constants and functions of the
  module or notebook (those are compiled too).
- ``histogram.fill(x, y, "category", weight=w)``.

Numbers
-------
All arithmetic is 64-bit, whatever the branch: floating-point numbers as in IEEE 754
(``1 / 0`` is infinite, ``0 / 0`` NaN, nothing raises), integers have a sign, wrap round
and divided by zero give zero; a branch that holds larger ones ends the run. NaN is unequal to everything, is in the overflow bin, and as a
weight is added and counted: ``NaN weights`` in the notes of a result. ``**`` with a
constant whole exponent is a product. Angles are differences in [-pi, pi). What Python
would raise (an index beyond the end, a variable without a value, ``int`` of NaN) ends
the run with a :class:`KernelError` that names the line and the event.

Speed
-----
A body that is one loop over a collection and uses nothing else of the event is done
without events: where they begin is not even read. ``sum``, ``any`` and ``all`` of what
each object alone says (``sum(jet.pt > 40 for jet in event.Jet)``) take no loop for each
event where the body fills one histogram, once and without a weight.

``kernel.python(events)`` runs the same lines in plain Python, for debuggers, and gives
the same bits.
"""

from facility.columnar.fused.errors import KernelError
from facility.columnar.fused.kernel import Kernel, kernel
from facility.columnar.fused.templates import Hist

__all__ = ["Hist", "Kernel", "KernelError", "kernel"]
