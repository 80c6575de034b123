"""Where blobs are kept on this machine, and what was found out about files."""
