"""Layers of images: planned, made, read and unpacked."""
