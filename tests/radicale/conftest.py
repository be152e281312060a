"""Radicale and the gateway in front of it, each a process of its own in a folder of its own."""

import sys

import pytest

from processes import Gateway, Process, free_port, listens

# The two ways in which an operator tells Radicale's header.
SETTINGS = {
    "headers": 'headers = { X-Remote-User = "{username}" }',
    "preset": 'preset = "radicale"',
}


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
        self.process.await_that(lambda: listens(self.port))


def configuration(radicale, setting):
    return f"""
[login]
iam = true

[upstream.calendars]
servers = ["http://127.0.0.1:{radicale.port}"]
{setting}

[[route]]
path = "/"
allow = "authenticated"
upstream = "calendars"
"""


@pytest.fixture(scope="module")
def radicale(tmp_path_factory):
    server = Radicale(tmp_path_factory.mktemp("radicale"))
    yield server
    server.process.stop()


@pytest.fixture(scope="module", params=list(SETTINGS))
def gateway(request, tmp_path_factory, radicale):
    server = Gateway(tmp_path_factory.mktemp("gateway"), configuration(radicale, SETTINGS[request.param]))
    yield server
    server.process.stop()


@pytest.fixture(scope="module")
def people(gateway):
    """The cookies of two users, by username. Radicale outlives the gateways, so each gets users of its own."""
    names = [f"{name}{gateway.port}" for name in ("alice", "bob")]
    return {name: gateway.sign_up(name) for name in names}


@pytest.fixture(scope="module")
def keys(gateway, people):
    """An access key of each user: its public and its secret half, by username."""
    made = {name: gateway.command("key", "create", f"{name}@example.com") for name in people}
    return {name: (key["access_key"], key["secret_key"]) for name, key in made.items()}
