"""Cuts a Python environment into what travels and changes by itself."""
