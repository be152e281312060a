"""Python's own server with handlers that read no body, and keep the connection; it tells what it was asked for."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ASKED = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one piece.
    wbufsize = -1

    def answer(self):
        if self.path == "/asked":
            body = "\n".join(ASKED).encode()
        else:
            ASKED.append(f"{self.command} {self.path}")
            body = self.path.encode()
        refused = self.path.startswith("/refused")
        self.send_response(403 if refused else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def __getattr__(self, name):
        # The handler of every method, known or not.
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
