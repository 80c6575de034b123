"""A small real process: answers 200 on a port; argv: PORT [children] [ignore-term]."""

import os
import signal
import socketserver
import subprocess
import sys
from http.server import BaseHTTPRequestHandler


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


if "ignore-term" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "children" in sys.argv:
    # A helper of the same session (dies with us), a server of its own session (lives),
    # and one that has lost the mark.
    sleep = [sys.executable, "-c", "import time; time.sleep(300)"]
    subprocess.Popen([*sleep, "helper"])
    subprocess.Popen([*sleep, "notebook"], start_new_session=True)
    bare = [*sleep, "unmarked"]
    parent = (
        "import subprocess, sys, time; "
        "subprocess.Popen(sys.argv[1:], env={}, start_new_session=True);"
        "print(flush=True);time.sleep(300)"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", parent, *bare],
        start_new_session=True,
        env=os.environ,
        stdout=subprocess.PIPE,
    )
    launcher.stdout.readline()  # all of them are there before we answer
print("standin listens on", sys.argv[1], flush=True)
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
