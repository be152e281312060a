"""A mail server, and the gateway that sends through it, each with everything that it listens on free for this test."""

import email
import email.policy
import json
import os
import re
import ssl
import subprocess
import time

import pytest
import requests
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from processes import PASSWORD, PROGRAM, Gateway, free_port

USER, SECRET = b"gateway", b"p@ss word"
# For longer than the two minutes for which a mail is another's, where a gateway that was killed had taken it.
PATIENCE = 150


def until(ready, what, seconds=PATIENCE):
    """Waits for a condition."""
    deadline = time.monotonic() + seconds
    while not (found := ready()):
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)
    return found


class Mail:
    """A mail as it arrived."""

    def __init__(self, to, content, encrypted=False, signed_in=False):
        self.to = to
        self.raw = content
        self.message = email.message_from_bytes(content, policy=email.policy.default)
        self.encrypted = encrypted
        self.signed_in = signed_in
        self.text = self.message.get_body(("plain",)).get_content().replace("\r\n", "\n")
        self.html = self.message.get_body(("html",)).get_content()

    def token(self, page):
        """The token of the link, which stands whole on a line of its own."""
        links = re.findall(rf"^https://\S+/\.auth/{page}\?token=(\S+)$", self.text, re.MULTILINE)
        assert len(links) == 1 and links[0] in self.html, self.text
        return links[0]


class Mailbox:
    """What arrived at a mail server, whichever it is."""

    def mails_to(self, address, count=1):
        def arrived():
            mails = [mail for mail in self.mails if address in mail.to]
            return mails if len(mails) >= count else None

        mails = until(arrived, lambda: f"{count} mails to {address}; there are {[mail.to for mail in self.mails]}")
        assert len(mails) == count
        return mails


class MailServer(Mailbox):
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
        self.mails.append(
            Mail(envelope.rcpt_tos, envelope.content, session.ssl is not None, session.authenticated)
        )
        return "250 OK"


class Sender(Gateway):
    """A gateway that proves addresses, and sends by this URL."""

    def __init__(self, folder, mail_url, trusts=None):
        secret = folder / "mail-url"
        secret.touch(0o600)
        secret.write_text(mail_url + "\n")
        super().__init__(
            folder,
            """
[mail]
url = { file = "mail-url" }
from = "Harbour <no-reply@harbour.example>"

[[route]]
allow = "authenticated"
upstream = "demo:"
""",
            signup="verify_email = true",
            environment={"SSL_CERT_FILE": str(trusts)} if trusts else {},
        )

    def said(self):
        return self.process.said()

    def doctor(self):
        """What `doctor` finds about mail: its exit status, and a verdict and a text for each finding."""
        command = [PROGRAM, "doctor", "--config", "vestibule.toml", "--json"]
        environment = {**os.environ, **(self.environment or {})}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60
        )
        assert "p@ss" not in done.stdout and "p%40ss" not in done.stdout
        findings = json.loads(done.stdout)["findings"]
        return done.returncode, [(f["verdict"], f["text"]) for f in findings if f["check"] == "mail"]

    def await_line(self, line):
        until(lambda: line in self.said(), self.said)

    def metric(self, outcome):
        text = requests.get(f"http://127.0.0.1:{self.ops}/metrics", timeout=5).text
        found = re.search(rf'^vestibule_mails_total{{outcome="{outcome}"}} (\d+)$', text, re.MULTILINE)
        return int(found[1])

    def sign_up(self, username, **headers):
        address = f"{username}@example.com"
        answer = self.post(
            "signup",
            headers=headers,
            email=address,
            username=username,
            password=PASSWORD,
            password_confirm=PASSWORD,
        )
        assert (answer.status_code, answer.json()) == (201, {"next": "verify"}), answer.text
        return address

    def sign_in(self, address, password=PASSWORD):
        return self.post("login", login=address, password=password).status_code

    def kill(self):
        self.process.kill()

    def stop(self):
        self.process.stop()
        assert self.process.child.returncode == 0 and "panicked" not in self.said(), self.said()


class Certificates:
    def __init__(self, folder):
        authority = trustme.CA()
        self.trusted = folder / "mail-ca.pem"
        authority.cert_pem.write_to_path(self.trusted)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        issued = authority.issue_cert("localhost", "127.0.0.1")
        issued.configure_cert(self.context)
        self.key = folder / "mail-server.pem"
        issued.private_key_and_cert_chain_pem.write_to_path(self.key)


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
    gateways = []

    def make(mail_url, trusts=None):
        gateways.append(Sender(tmp_path, mail_url, trusts))
        return gateways[-1]

    yield make
    for one in gateways:
        if one.process.runs():
            one.stop()
