"""The eight ADL benchmark queries on NanoAOD-like events, and events to ask them of.

Definitions: IRIS-HEP, "Functionality benchmarks for analysis description languages".
"""
