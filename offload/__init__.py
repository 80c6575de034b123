"""Jobs that leave the facility: snapshots, sites and what comes back."""
