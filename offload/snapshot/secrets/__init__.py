"""What must not travel: found, and said without showing it."""
