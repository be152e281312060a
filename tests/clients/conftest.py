"""An application that says what it was asked, the gateway in front of it, and those who ask."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from processes import Gateway, Process, free_port, listens

CONFIGURATION = """
[login]
iam = true

[upstream.stub]
servers = ["http://127.0.0.1:{port}"]

[[route]]
path = "/"
allow = "authenticated"
upstream = "stub"
compat = "backend.ai"

[[route]]
path = "/bucket"
allow = "authenticated"
upstream = "stub"
unsigned_payload = true
"""


class Answer:
    """What the application was asked, as it tells."""

    def __init__(self, response):
        assert response.status_code == 200, response.text
        self.said = response.json()

    def header(self, name):
        values = [value for given, value in self.said["headers"] if given == name]
        assert len(values) < 2, values
        return values[0] if values else None


def answered(status, text):
    """What a client of its own was answered, as `requests` would have it."""
    response = requests.Response()
    response.status_code, response._content = int(status), text.encode()
    return response


class Key:
    def __init__(self, gateway, username):
        gateway.sign_up(username)
        made = gateway.command("key", "create", f"{username}@example.com", "--name", "clients")
        self.username = username
        self.access_key, self.secret_key = made["access_key"], made["secret_key"]


class BackendAI:
    """Backend.AI's own client and command line, with nothing changed but where they go and what they prove themselves with."""

    COMMAND = Path(sys.executable).with_name("backend.ai")
    LIBRARY = Path(__file__).with_name("backendai.py")

    def __init__(self, gateway, home, mode, **settings):
        self.home = home
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "SSL_CERT_FILE": str(gateway.authority),
            "BACKEND_ENDPOINT": gateway.origin,
            "BACKEND_ENDPOINT_TYPE": mode,
            **settings,
        }

    def command(self, *arguments, typed="", **settings):
        return self._run([sys.executable, "-B", self.COMMAND, *arguments], typed, settings)

    def library(self, *arguments):
        return self._run([sys.executable, "-B", self.LIBRARY, *arguments], "", {})

    def _run(self, command, typed, settings):
        # Without a terminal of its own, where it would ask for a password, it reads what is typed here.
        return subprocess.run(
            command,
            cwd=self.home,
            env={**self.environment, **settings},
            input=typed,
            capture_output=True,
            text=True,
            timeout=120,
            start_new_session=True,
        )


@pytest.fixture(scope="session")
def stub(tmp_path_factory):
    port = free_port()
    command = [sys.executable, Path(__file__).with_name("stub.py"), str(port)]
    process = Process("stub", command, tmp_path_factory.mktemp("stub"))
    process.await_that(lambda: listens(port))
    yield port
    process.stop()


@pytest.fixture(scope="session")
def gateway(tmp_path_factory, stub):
    server = Gateway(tmp_path_factory.mktemp("gateway"), CONFIGURATION.format(port=stub))
    yield server
    server.process.stop()


@pytest.fixture(scope="session")
def key(gateway):
    return Key(gateway, "alice")


@pytest.fixture
def send(gateway):
    """Sends a request that some client has signed, as it is."""

    def send(method, url, headers, body=None):
        return requests.request(
            method, url, headers=headers, data=body, verify=gateway.authority, timeout=30, allow_redirects=False
        )

    return send


def assert_passed(response, key, body=b""):
    """The application knows who it is, has the body, and has nothing of the signature."""
    answer = Answer(response)
    assert answer.header("remote-user") == key.username
    assert answer.said["sha256"] == hashlib.sha256(body).hexdigest()
    for name in ("authorization", "signature", "signature-input", "x-amz-security-token"):
        assert answer.header(name) is None, name
    assert "X-Amz-Signature" not in answer.said["target"]
    return answer


def assert_refused(response, slug="signature-invalid"):
    assert response.status_code == 401, response.text
    assert response.json()["type"].endswith(f"/.auth/problems/{slug}"), response.text
