"""Python's own server before an application that decodes its path as it decodes forms, and takes blanks for nothing."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote_plus


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one piece.
    wbufsize = -1

    def do_GET(self):
        segment = unquote_plus(self.path.split("?")[0]).split("/")[1:2]
        body = b"ADMIN" if segment and segment[0].strip() in ("admin", "my files") else b"OPEN"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
