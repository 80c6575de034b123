"""A stand-in for the plugin at a site; argv: --config FILE, which names a socket."""

import os
import socketserver
import sys
from pathlib import Path


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())
            self.wfile.flush()


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


config = Path(sys.argv[sys.argv.index("--config") + 1])
words = dict(line.split(": ") for line in config.read_text().splitlines())
if "fails" in words:
    sys.exit(words["fails"])
with Path(words["pids"]).open("a") as pids:
    pids.write(f"{os.getpid()}\n")
Server(words["socket"], Handler).serve_forever()
