"""A mail server, and the gateway that sends through it, each with everything that it listens on free for this test."""

import email
import email.policy
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest
import requests
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
PROGRAM = Path(os.environ.get("VESTIBULE", TARGET / "debug" / "vestibule"))
PASSWORD = "slate-Harbour_42"
USER, SECRET = b"gateway", b"p@ss word"
PATIENCE = 90


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(ready, what, seconds=PATIENCE):
    """Waits for a condition."""
    deadline = time.monotonic() + seconds
    while not (found := ready()):
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)
    return found


class Mail:
    def __init__(self, envelope, session):
        self.to = envelope.rcpt_tos
        self.message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.encrypted = session.ssl is not None
        self.signed_in = session.authenticated
        self.text = self.message.get_body(("plain",)).get_content().replace("\r\n", "\n")
        self.html = self.message.get_body(("html",)).get_content()

    def token(self, page):
        """The token of the link, which stands whole on a line of its own."""
        links = re.findall(rf"^https://\S+/\.auth/{page}\?token=(\S+)$", self.text, re.MULTILINE)
        assert len(links) == 1 and links[0] in self.html, self.text
        return links[0]


class MailServer:
    """aiosmtpd. It answers as it is told to, and keeps what it took."""

    def __init__(self, **options):
        self.port = free_port()
        self.options = options
        self.mails = []
        self.answers = {}
        self.password = SECRET
        self.controller = None

    def start(self):
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port, **self.options)
        self.controller.start()
        return self

    def stop(self):
        if self.controller:
            self.controller.stop()
            self.controller = None

    def authenticate(self, server, session, envelope, mechanism, data):
        right = data.login == USER and data.password == self.password
        # Not handled here: aiosmtpd answers.
        return AuthResult(success=right, handled=False)

    async def handle_RCPT(self, server, session, envelope, address, options):
        if answer := self.answers.get(address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.mails.append(Mail(envelope, session))
        return "250 OK"

    def mails_to(self, address, count=1):
        def arrived():
            mails = [mail for mail in self.mails if address in mail.to]
            return mails if len(mails) >= count else None

        mails = until(arrived, lambda: f"{count} mails to {address}; there are {[mail.to for mail in self.mails]}")
        assert len(mails) == count
        return mails


class Gateway:
    def __init__(self, folder, mail_url, trusts=None):
        self.folder = folder
        self.port, self.ops = free_port(), free_port()
        self.origin = f"https://localhost:{self.port}"
        self.authority = folder / "certs" / "local-ca.pem"
        self.log = folder / "log"
        self.environment = dict(os.environ, **({"SSL_CERT_FILE": str(trusts)} if trusts else {}))
        secret = folder / "mail-url"
        secret.touch(0o600)
        secret.write_text(mail_url + "\n")
        (folder / "vestibule.toml").write_text(
            f"""
public_url = "{self.origin}"

[listen]
https = ["127.0.0.1:{self.port}"]
ops = "127.0.0.1:{self.ops}"

[mail]
url = {{ file = "mail-url" }}
from = "Harbour <no-reply@harbour.example>"

[signup]
mode = "open"
verify_email = true

[password]
bcrypt_cost = 10

[[route]]
allow = "authenticated"
upstream = "demo:"
"""
        )
        self.start()

    def start(self):
        with self.log.open("ab") as log:
            command = [PROGRAM, "serve", "--config", "vestibule.toml"]
            self.child = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )
        until(self.is_ready, self.said)

    def is_ready(self):
        assert self.child.poll() is None, self.said()
        try:
            return requests.get(f"http://127.0.0.1:{self.ops}/readyz", timeout=5).ok and self.authority.exists()
        except requests.RequestException:
            return False

    def said(self):
        return self.log.read_text(errors="replace")

    def await_line(self, line):
        until(lambda: line in self.said(), self.said)

    def metric(self, outcome):
        text = requests.get(f"http://127.0.0.1:{self.ops}/metrics", timeout=5).text
        found = re.search(rf'^vestibule_mails_total{{outcome="{outcome}"}} (\d+)$', text, re.MULTILINE)
        return int(found[1])

    def post(self, path, **fields):
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        return requests.post(
            f"{self.origin}/.auth/{path}",
            data=json.dumps(fields),
            headers=headers,
            verify=self.authority,
            timeout=30,
        )

    def sign_up(self, username):
        address = f"{username}@example.com"
        answer = self.post(
            "signup", email=address, username=username, password=PASSWORD, password_confirm=PASSWORD
        )
        assert (answer.status_code, answer.json()) == (201, {"next": "verify"}), answer.text
        return address

    def sign_in(self, address, password=PASSWORD):
        return self.post("login", login=address, password=password).status_code

    def kill(self):
        self.child.kill()
        self.child.wait()

    def stop(self):
        self.child.terminate()
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        assert self.child.returncode == 0 and "panicked" not in self.said(), self.said()


class Certificates:
    def __init__(self, folder):
        authority = trustme.CA()
        self.trusted = folder / "mail-ca.pem"
        authority.cert_pem.write_to_path(self.trusted)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(self.context)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def mail_server():
    """Makes mail servers."""
    servers = []

    def make(**options):
        server = MailServer(**options)
        if "auth_required" in options:
            server.options["authenticator"] = server.authenticate
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def gateway(tmp_path):
    """Makes a gateway that sends by this URL."""
    assert shutil.which(str(PROGRAM)), f"{PROGRAM} is not built"
    gateways = []

    def make(mail_url, trusts=None):
        gateways.append(Gateway(tmp_path, mail_url, trusts))
        return gateways[-1]

    yield make
    for one in gateways:
        if one.child.poll() is None:
            one.stop()
