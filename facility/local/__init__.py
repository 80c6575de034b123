"""The embedded facility: hub, gateway and proxy on one machine, supervised."""
