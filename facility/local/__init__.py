"""The embedded facility: hub, gateway and proxy on one machine, supervised.

``start`` and ``stop`` are what people do; ``serve`` and ``supervisor`` are what runs
on, with its decisions in ``core``. ``table`` says which processes there are, ``ledger``
which run, ``marked`` finds them all, whoever started them.
"""
