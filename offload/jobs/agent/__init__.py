"""The agent: one process per person that carries his jobs from frozen to merged."""
