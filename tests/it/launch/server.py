"""A stand-in for a server: answers /health, /version, /v1/models, and misbehaves as its mode says."""

import http.server
import json
import os
import signal
import subprocess
import sys
import time

port, mode = int(sys.argv[1]), sys.argv[2]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        has_key = self.headers["Authorization"] == "Bearer right-key"
        if mode == "locked-gateway" and self.path == "/health":
            self.answer(204 if has_key else 401, b"")
        elif self.path == "/health":
            self.answer(503 if mode == "never-ready" else 200, b"")
        elif self.path == "/version":
            self.answer(200, b'{"version": "0.32.0"}')
        elif mode in ("locked", "locked-gateway") and not has_key:
            self.answer(401, b"{}")
        else:
            self.answer(200, json.dumps({"data": [{"id": "tiny-llm"}]}).encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


print("\x1b[32mINFO\x1b[0m starting with", os.environ.get("STAND_IN_SECRET"), flush=True)
if mode == "dies":
    print("::error::weights are broken", file=sys.stderr, flush=True)
    sys.exit(3)
if mode == "ignores-sigterm":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if mode in ("grandchild", "abandons"):
    child = subprocess.Popen(["sleep", "300"])
    print("grandchild", child.pid, flush=True)
if mode == "abandons":
    sys.exit(3)
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
if mode == "dies-later":
    server.timeout = 0.1
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        server.handle_request()
    sys.exit(7)
server.serve_forever()
