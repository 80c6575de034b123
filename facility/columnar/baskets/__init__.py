"""Baskets of TTrees, and pages of RNTuples, to columns: by compiled code, without lock."""
