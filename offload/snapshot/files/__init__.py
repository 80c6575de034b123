"""Looks at files and reads them, though others may be writing them."""
