"""Which files of a folder travel."""
