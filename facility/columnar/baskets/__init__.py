"""Baskets of TTrees to columns, by compiled code that holds no interpreter lock."""
