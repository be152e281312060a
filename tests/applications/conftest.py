"""Servers that people run, each a process of its own, and the gateway in front of them."""

import http.client
import os
import socket
import ssl
import sys
from pathlib import Path

import pytest

from processes import Gateway, Process, free_port, listens

SERVERS = Path(__file__).parent / "servers"
FULL = bool(os.environ.get("VESTIBULE_FULL"))

NGINX = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 OPEN; }}
        location ~ ^/admin(/|$) {{ return 200 ADMIN; }}
    }}
}}
"""

LIGHTTPD = """
server.modules = ( "mod_cgi", "mod_alias" )
server.document-root = "{folder}"
server.bind = "127.0.0.1"
server.port = {port}
server.errorlog = "{folder}/error.log"
alias.url = ( "/" => "{servers}/environment.py" )
cgi.assign = ( ".py" => "{python}" )
"""


def node(script):
    return lambda port, folder: ["node", SERVERS / script, str(port)]


def nginx(port, folder):
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    return ["/usr/sbin/nginx", "-e", folder / "error.log", "-p", folder, "-c", folder / "nginx.conf"]


def lighttpd(port, folder):
    settings = LIGHTTPD.format(folder=folder, port=port, servers=SERVERS, python=sys.executable)
    (folder / "lighttpd.conf").write_text(settings)
    return ["/usr/sbin/lighttpd", "-D", "-f", folder / "lighttpd.conf"]


#: Each answers ADMIN where it takes the path for one below `/admin` (those that decode `+` below `/my files` too), and OPEN elsewhere.
ROUTING = {
    "nginx": nginx,
    "express": node("express.cjs"),
    "node-url": node("url.cjs"),
    "flask": lambda port, folder: [sys.executable, SERVERS / "werkzeug_routes.py", str(port)],
    "http.server": lambda port, folder: [sys.executable, SERVERS / "files.py", str(port)],
    "unquote_plus": lambda port, folder: [sys.executable, SERVERS / "unquote_plus.py", str(port)],
}
if FULL:
    ROUTING |= {
        "php": lambda port, folder: ["php", "-S", f"127.0.0.1:{port}", SERVERS / "parse_url.php"],
        "php-urldecode": lambda port, folder: ["php", "-S", f"127.0.0.1:{port}", SERVERS / "urldecode.php"],
        "java": lambda port, folder: ["java", SERVERS / "UriServer.java", str(port)],
    }


def start(name, command, folder):
    port = free_port()
    process = Process(name, command(port, folder), folder)
    process.await_that(lambda: listens(port))
    return process, port


class Raw:
    """A client that sends a target as it is, over connections that it keeps while they last."""

    def __init__(self, port, authority=None):
        self.port, self.tls = port, None
        if authority:
            self.tls = ssl.create_default_context(cafile=authority)
        self.stream = None

    def get(self, target, headers=()):
        """The status and the body."""
        for fresh in (self.stream is None, True):
            if fresh:
                self.connect()
            lines = [f"GET {target} HTTP/1.1", f"Host: localhost:{self.port}", *headers, "", ""]
            try:
                self.stream.sendall("\r\n".join(lines).encode())
                answer = http.client.HTTPResponse(self.stream, method="GET")
                answer.begin()
                body = answer.read().decode(errors="replace")
            except (OSError, http.client.HTTPException):
                self.close()
                if fresh:
                    return None, ""
                continue
            if answer.will_close:
                self.close()
            return answer.status, body
        return None, ""

    def connect(self):
        self.close()
        stream = socket.create_connection(("127.0.0.1", self.port), 30)
        self.stream = self.tls.wrap_socket(stream, server_hostname="localhost") if self.tls else stream

    def close(self):
        if self.stream:
            self.stream.close()
        self.stream = None


@pytest.fixture(scope="module", params=ROUTING.values(), ids=ROUTING.keys())
def routing_server(request, tmp_path_factory):
    process, port = start("server", request.param, tmp_path_factory.mktemp("server"))
    yield port
    process.stop()


@pytest.fixture(scope="module")
def cgi_server(tmp_path_factory):
    process, port = start("lighttpd", lighttpd, tmp_path_factory.mktemp("lighttpd"))
    yield port
    process.stop()


def gateway_with(folder, rest):
    return Gateway(folder, rest + '\n[log]\naccess = false\n')
