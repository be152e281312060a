"""An office: three applications and a wildcard behind one gateway, and 500 people who come from an htpasswd file."""

import csv
import datetime
import email
import io
import json
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from processes import PASSWORD, PROGRAM, Process, free_port, listens

#: Of PASSWORD, as Apache's htpasswd -B makes it.
HASH = "$2y$10$abcdefghijklmnopqrstuugYrEDIDFuxdh2Ib2XsqUcLq1hVK8KkS"
HOSTS = ["console.example.com", "calendar.example.com", "files.example.com", "*.apps.example.com"]


@pytest.fixture(scope="session", autouse=True)
def names():
    """The hosts of the office are this machine, as a name server would say."""
    original = socket.getaddrinfo

    def lookup(host, *rest, **options):
        return original("127.0.0.1" if str(host).endswith("example.com") else host, *rest, **options)

    socket.getaddrinfo = lookup
    yield
    socket.getaddrinfo = original


class Authority:
    """A certificate authority, as a company has one."""

    def __init__(self, folder):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example Office CA")])
        own = self.sign(self.name, self.key, x509.BasicConstraints(ca=True, path_length=0))
        self.file = folder / "office-ca.pem"
        self.file.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def sign(self, subject, key, *extensions):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=90))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, certificate, key_file):
        """Writes a certificate and its key, and answers with its serial number."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOSTS[0])])
        made = self.sign(subject, key, x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]))
        certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        key_file.touch(mode=0o600)
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return made.serial_number


CONFIGURATION = """
public_url = "https://console.example.com:{port}"

[listen]
https = ["127.0.0.1:{port}"]
ops = "127.0.0.1:{ops}"

[tls]
certificates = [{{ cert = "certs/office.pem", key = "certs/office.key" }}]

[signup]
mode = "open"
approval = true

[login]
iam = true

[session]
cookie_domain = "example.com"

[password]
bcrypt_cost = 10

[log]
access_file = "log/access.jsonl"

[audit]
file = "log/audit.jsonl"

[upstream.calendar]
servers = ["http://127.0.0.1:{calendar}"]
preset = "radicale"

[upstream.files]
servers = ["http://127.0.0.1:{files}"]
preset = "wsgidav"

[upstream.console]
servers = ["http://127.0.0.1:{console}"]
headers = {{ X-Name-Ascii = "{{name:ascii}}", X-Name-Percent = "{{name:percent}}" }}

[[route]]
host = "console.example.com"
allow = "authenticated"
upstream = "console"

[[route]]
host = "console.example.com"
path = "/ops"
allow = {{ groups = ["ops"] }}
upstream = "console"

[[route]]
host = "console.example.com"
path = "/hooks/deploy"
methods = ["POST"]
allow = "public"
upstream = "console"

[[route]]
host = "calendar.example.com"
allow = "authenticated"
upstream = "calendar"

[[route]]
host = "files.example.com"
allow = {{ groups = ["staff"] }}
upstream = "files"

[[route]]
host = "*.apps.example.com"
allow = "authenticated"
upstream = "console"
"""


class Gateway:
    """The program in a folder of its own."""

    def __init__(self, folder, authority, ports):
        self.folder, self.authority = folder, authority
        self.port, self.ops = free_port(), free_port()
        for name in ("config", "certs", "log"):
            (folder / name).mkdir()
        self.configuration = folder / "config" / "vestibule.toml"
        self.configuration.write_text(CONFIGURATION.format(port=self.port, ops=self.ops, **ports))
        self.certificate = folder / "certs" / "office.pem", folder / "certs" / "office.key"
        self.serial = authority.issue(*self.certificate)

    def start(self):
        self.process = Process("vestibule", [PROGRAM, "serve"], self.folder)
        self.process.await_that(lambda: requests.get(f"http://127.0.0.1:{self.ops}/readyz", timeout=5).ok)

    def stop(self):
        self.process.stop()

    def url(self, path="/", host="console"):
        return f"https://{host}.example.com:{self.port}{path}"

    def run(self, *arguments, **options):
        return subprocess.run(
            [PROGRAM, *arguments], cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, **options,
        )

    def command(self, *arguments):
        """What a command prints."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def document(self, *arguments):
        return json.loads(self.command(*arguments, "--json"))

    def refused(self, *arguments):
        """What a command that must fail says."""
        done = self.run(*arguments)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stdout + done.stderr

    def table(self, *arguments):
        return list(csv.DictReader(io.StringIO(self.command(*arguments))))

    def browser(self):
        """A client that keeps cookies, trusts the office's authority, and asks as browsers do."""
        session = requests.Session()
        session.verify = str(self.authority.file)
        session.trust_env = False
        session.headers["Accept"] = "text/html"
        return session

    def sign_in(self, name, password=PASSWORD):
        browser = self.browser()
        fields = {"login": f"{name}@example.com", "password": password}
        answer = browser.post(self.url("/.auth/login"), data=fields, allow_redirects=False, timeout=30)
        assert answer.status_code == 303, answer.text
        return browser

    def mails_to(self, address):
        """The texts of all mails to an address."""
        texts = []
        for file in sorted((self.folder / "data" / "outbox").glob("*.eml")):
            message = email.message_from_bytes(file.read_bytes())
            if message["To"] == address:
                texts.append(message.get_payload(0).get_payload(decode=True).decode())
        return texts

    def link_in(self, text):
        (link,) = re.findall(r"https://\S+[?]invitation=\S+", text)
        assert urlsplit(link).netloc == f"console.example.com:{self.port}"
        return link


def until(done):
    """What `done` answers once it is something."""
    deadline = time.monotonic() + 30
    while not (found := done()):
        assert time.monotonic() < deadline, done
        time.sleep(0.05)
    return found


@pytest.fixture(scope="session")
def applications(tmp_path_factory):
    """Their ports: Radicale, WsgiDAV, and a console in Flask."""
    folder = tmp_path_factory.mktemp("applications")
    (folder / "radicale.ini").write_text(
        f"[server]\nhosts = 127.0.0.1:{(calendar := free_port())}\n[auth]\ntype = http_x_remote_user\n"
        f"[rights]\ntype = owner_only\n[storage]\nfilesystem_folder = {folder}/collections\n"
    )
    (folder / "shared").mkdir()
    (folder / "wsgidav.yaml").write_text(
        f"host: 127.0.0.1\nport: {(files := free_port())}\nprovider_mapping:\n  /: {folder}/shared\n"
        "http_authenticator:\n  trusted_auth_header: HTTP_X_REMOTE_USER\nsimple_dc:\n  user_mapping: {'*': true}\n"
    )
    script, console = Path(__file__).with_name("console.py"), free_port()
    processes = []
    for name, port, command in (
        ("radicale", calendar, ["-m", "radicale", "--config", folder / "radicale.ini"]),
        ("wsgidav", files, ["-m", "wsgidav.server.server_cli", "--config", folder / "wsgidav.yaml"]),
        ("console", console, [script, str(console)]),
    ):
        processes.append((Process(name, [sys.executable, *command], folder), port))
    for process, port in processes:
        process.await_that(lambda port=port: listens(port))
    yield {"calendar": calendar, "files": files, "console": console}
    for process, _ in processes:
        process.stop()


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def office(tmp_path_factory, authority, applications):
    """The gateway with everybody in it who was in the htpasswd file."""
    gateway = Gateway(tmp_path_factory.mktemp("office"), authority, applications)
    people = gateway.folder / "people.htpasswd"
    people.write_text("".join(f"p{number:03}:{HASH}\n" for number in range(500)))
    gateway.start()
    gateway.command("user", "import", "--htpasswd", str(people), "--domain", "example.com", "--group", "staff")
    yield gateway
    gateway.stop()
