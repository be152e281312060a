"""nginx and HAProxy, as the manual has them, before `listen.plain`."""

import base64
import hashlib
import http.client
import http.server
import json
import re
import shutil
import socket
import ssl
import tempfile
import threading
from pathlib import Path

import pytest

from processes import PASSWORD, ROOT, Gateway, Process, free_port, listens

MANUAL = (ROOT / "docs/manual/behind-a-proxy.md").read_text()
# What a server appends to a key (RFC 6455, section 1.3).
WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
HAPROXY = Path(__file__).parent / ".haproxy"


def block(language):
    """The example of the manual in this language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", MANUAL, re.MULTILINE | re.DOTALL)
    return found


def replaced(text, pairs):
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


class Echo(http.server.BaseHTTPRequestHandler):
    """Tells what it was asked, and turns into an echo where it is asked for a WebSocket."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.headers.get("Upgrade") == "websocket":
            accept = hashlib.sha1(self.headers["Sec-WebSocket-Key"].encode() + WEBSOCKET).digest()
            self.wfile.write(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Accept: " + base64.b64encode(accept) + b"\r\n\r\n"
            )
            self.close_connection = True
            self.wfile.write(self.rfile.read(4))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = json.dumps({"target": self.path, "headers": headers}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def application():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()


def nginx(folder, gateway_at, secure, plain):
    site = replaced(
        block("nginx"),
        [
            ("listen 80;", f"listen 127.0.0.1:{plain};"),
            ("listen 443 ssl http2;", f"listen 127.0.0.1:{secure} ssl http2;"),
            ("/etc/ssl/gw.pem", f"{folder}/gw.pem"),
            ("/etc/ssl/gw.key", f"{folder}/gw.key"),
            ("server 127.0.0.1:8080;", f"server {gateway_at};"),
        ],
    )
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}\n{site}\n}}\n"
    )
    return ["/usr/sbin/nginx", "-e", folder / "error.log", "-p", folder, "-c", folder / "nginx.conf"], None


def haproxy(protocol=""):
    def start(folder, gateway_at, secure, plain):
        (folder / "both.pem").write_text((folder / "gw.pem").read_text() + (folder / "gw.key").read_text())
        text = replaced(
            block("haproxy"),
            [
                ("bind :80\n", f"bind 127.0.0.1:{plain}\n"),
                ("bind :443 ", f"bind 127.0.0.1:{secure} "),
                ("/etc/haproxy/gw.pem", f"{folder}/both.pem"),
                ("server gateway 127.0.0.1:8080", f"server gateway {gateway_at.replace('unix:', 'unix@')} {protocol}"),
            ],
        )
        (folder / "haproxy.cfg").write_text(text)
        (libraries,) = HAPROXY.glob("usr/lib/*-linux-gnu")
        command = [HAPROXY / "usr/sbin/haproxy", "-db", "-f", folder / "haproxy.cfg"]
        return command, {"LD_LIBRARY_PATH": str(libraries)}

    return start


PROXIES = {"nginx": nginx, "haproxy": haproxy(), "haproxy-h2c": haproxy("proto h2")}


class Site:
    """A gateway behind a proxy. Clients know the proxy alone."""

    def __init__(self, proxy, over, folder, application):
        self.secure, self.plain, inner = free_port(), free_port(), free_port()
        place = f"unix:{folder}/plain.sock" if over == "unix" else f"127.0.0.1:{inner}"
        trusted = "" if over == "unix" else 'trusted_proxies = ["127.0.0.1/32"]'
        self.gateway = Gateway(
            folder,
            f'[[route]]\nupstream = "http://127.0.0.1:{application}"\n',
            listen=f'plain = ["{place}"]\n{trusted}',
        )
        for name, source in (("gw.pem", "localhost.pem"), ("gw.key", "localhost.key")):
            shutil.copy(folder / "certs" / source, folder / name)
        self.inner = place
        command, environment = proxy(folder, place, self.secure, self.plain)
        self.process = Process("proxy", command, folder, environment)
        self.process.await_that(lambda: listens(self.secure))
        self.tls = ssl.create_default_context(cafile=self.gateway.authority)

    def ask(self, method, path, body=None, **headers):
        """The status, the headers and the body of what the proxy answers."""
        connection = http.client.HTTPSConnection("localhost", self.secure, timeout=30, context=self.tls)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {"Accept": "application/json", **headers})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, answer.headers, text

    def sign_in(self, email):
        form = json.dumps({"login": email, "password": PASSWORD})
        status, headers, text = self.ask(
            "POST",
            "/.auth/login",
            form,
            Content_Type="application/json",
            Origin=f"https://localhost:{self.secure}",
            Sec_Fetch_Site="same-origin",
        )
        assert status == 200, text
        return headers["Set-Cookie"]

    def stop(self):
        self.process.stop()
        self.gateway.process.stop()


@pytest.fixture(scope="module", params=[(name, over) for name in PROXIES for over in ("tcp", "unix")], ids="-".join)
def site(request, application):
    name, over = request.param
    # The path of a socket is short.
    with tempfile.TemporaryDirectory(prefix="vestibule-") as folder:
        site = Site(PROXIES[name], over, Path(folder), application)
        site.email = "ann@example.com"
        site.gateway.sign_up("ann")
        yield site
        site.stop()
        assert over == "tcp" or not Path(site.inner.removeprefix("unix:")).exists()


def test_s42_people_sign_in_and_applications_see_the_outside(site):
    cookie = site.sign_in(site.email)
    assert cookie.startswith("__Host-vestibule=") and "Secure" in cookie
    session = cookie.split(";")[0]
    status, headers, text = site.ask(
        "GET",
        "/a%20b/?q=1",
        Cookie=session,
        X_Forwarded_For="6.6.6.6",
        X_Forwarded_Proto="http",
        X_Forwarded_Host="evil.example",
        X_Forwarded_Port="1",
        X_Request_Id="0123456789abcdef0123456789abcdef",
        Remote_User="root",
    )
    assert status == 200, text
    told = json.loads(text)
    assert told["target"] == "/a%20b/?q=1"
    seen = told["headers"]
    assert seen["remote-user"] == "ann"
    assert seen["host"] == seen["x-forwarded-host"] == f"localhost:{site.secure}"
    assert seen["x-forwarded-proto"] == "https"
    assert seen["x-forwarded-port"] == str(site.secure)
    assert seen["x-request-id"] != "0123456789abcdef0123456789abcdef"
    assert "strict-transport-security" not in headers


def test_s42_what_came_over_http_sets_and_takes_no_cookie(site):
    """The proxy redirects; what a proxy passes on all the same the gateway refuses."""
    session = site.sign_in(site.email).split(";")[0]
    connection = http.client.HTTPConnection("127.0.0.1", site.plain, timeout=30)
    connection.request("GET", "/x", headers={"Host": "localhost", "Cookie": session})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Location"]) == (308, "https://localhost/x")
    assert "Set-Cookie" not in answer.headers
    connection.close()
    if site.inner.startswith("unix:"):
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(site.inner.removeprefix("unix:"))
    else:
        stream = socket.create_connection(("127.0.0.1", int(site.inner.rsplit(":")[-1])))
    stream.settimeout(30)
    said = f"GET /x HTTP/1.1\r\nHost: localhost\r\nCookie: {session}\r\nX-Forwarded-Proto: http\r\nConnection: close\r\n\r\n"
    stream.sendall(said.encode())
    answer = b""
    while more := stream.recv(65536):
        answer += more
    assert answer.startswith(b"HTTP/1.1 400 ") and b"set-cookie" not in answer.lower(), answer


def test_a_websocket_passes(site):
    session = site.sign_in(site.email).split(";")[0]
    stream = site.tls.wrap_socket(
        socket.create_connection(("127.0.0.1", site.secure), 30), server_hostname="localhost"
    )
    stream.sendall(
        f"GET /socket HTTP/1.1\r\nHost: localhost:{site.secure}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Origin: https://localhost:{site.secure}\r\nCookie: {session}\r\n\r\n".encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        more = stream.recv(4096)
        assert more, answer
        answer += more
    assert answer.startswith(b"HTTP/1.1 101 "), answer
    # What the client's own key asks for, whoever made the key that the application got.
    assert b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n" in answer.lower(), answer
    stream.sendall(b"ping")
    rest = answer.split(b"\r\n\r\n", 1)[1]
    while len(rest) < 4:
        more = stream.recv(4096)
        assert more, rest
        rest += more
    assert rest == b"ping"
    stream.close()


def test_the_gateway_comes_back_after_it_was_killed(site):
    """A killed gateway leaves its socket behind; the next one takes the place, and the proxy finds it."""
    site.gateway.process.kill()
    site.gateway.start()
    assert site.sign_in(site.email)
