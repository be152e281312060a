"""Radicale and the gateway in front of it, each a process of its own in a folder of its own."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
PROGRAM = Path(os.environ.get("VESTIBULE", TARGET / "debug" / "vestibule"))
PASSWORD = "slate-Harbour_42"

# The two ways in which an operator tells Radicale's header.
SETTINGS = {
    "headers": 'headers = { X-Remote-User = "{username}" }',
    "preset": 'preset = "radicale"',
}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Process:
    """A process whose output is kept in a file, ended when the tests are done."""

    def __init__(self, name, command, folder):
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def await_that(self, ready):
        deadline = time.monotonic() + 60
        while True:
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.log.name}:\n{self.log.read_text(errors='replace')}")
            try:
                if ready():
                    return
            except (OSError, requests.RequestException):
                pass
            time.sleep(0.05)

    def stop(self):
        self.child.terminate()
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


class Radicale:
    def __init__(self, folder):
        self.port = free_port()
        settings = folder / "radicale.ini"
        settings.write_text(
            f"[server]\nhosts = 127.0.0.1:{self.port}\n"
            "[auth]\ntype = http_x_remote_user\n"
            "[rights]\ntype = owner_only\n"
            f"[storage]\nfilesystem_folder = {folder / 'collections'}\n"
        )
        self.process = Process("radicale", [sys.executable, "-m", "radicale", "--config", settings], folder)
        self.process.await_that(lambda: socket.create_connection(("127.0.0.1", self.port), 1).close() is None)


class Gateway:
    def __init__(self, folder, radicale, setting):
        self.port = free_port()
        self.origin = f"https://localhost:{self.port}"
        self.authority = folder / "certs" / "local-ca.pem"
        (folder / "vestibule.toml").write_text(
            f"""
public_url = "{self.origin}"

[listen]
https = ["127.0.0.1:{self.port}"]
ops = ""

[signup]
mode = "open"

[password]
bcrypt_cost = 10

[upstream.calendars]
servers = ["http://127.0.0.1:{radicale.port}"]
{setting}

[[route]]
path = "/"
allow = "authenticated"
upstream = "calendars"
"""
        )
        self.process = Process("vestibule", [PROGRAM, "serve", "--config", "vestibule.toml"], folder)
        self.process.await_that(
            lambda: self.authority.exists()
            and requests.get(f"{self.origin}/.auth/login", verify=self.authority, timeout=5).ok
        )

    def post(self, path, **fields):
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        address = f"{self.origin}/.auth/{path}"
        return requests.post(
            address, data=json.dumps(fields), headers=headers, verify=self.authority, timeout=30
        )

    def sign_up(self, username):
        """Makes an account, signs it in, and answers with the cookie header of its session."""
        email = f"{username}@example.com"
        answer = self.post(
            "signup", email=email, username=username, password=PASSWORD, password_confirm=PASSWORD, agree=True
        )
        assert answer.status_code == 201, answer.text
        answer = self.post("login", login=email, password=PASSWORD)
        assert answer.status_code == 200, answer.text
        assert answer.json()["user"]["username"] == username
        return "; ".join(f"{name}={value}" for name, value in answer.cookies.items())


@pytest.fixture(scope="module")
def radicale(tmp_path_factory):
    server = Radicale(tmp_path_factory.mktemp("radicale"))
    yield server
    server.process.stop()


@pytest.fixture(scope="module", params=list(SETTINGS))
def gateway(request, tmp_path_factory, radicale):
    assert shutil.which(str(PROGRAM)), f"{PROGRAM} is not built"
    server = Gateway(tmp_path_factory.mktemp("gateway"), radicale, SETTINGS[request.param])
    yield server
    server.process.stop()


@pytest.fixture(scope="module")
def people(gateway):
    """The cookies of two users, by username. Radicale outlives the gateways, so each gets users of its own."""
    names = [f"{name}{gateway.port}" for name in ("alice", "bob")]
    return {name: gateway.sign_up(name) for name in names}
