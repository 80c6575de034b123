"""Publishes pushed images to a repository that every site can read."""
