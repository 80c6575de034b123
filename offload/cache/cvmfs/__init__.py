"""A repository in the format of CernVM-FS: read, written and kept on disk."""
