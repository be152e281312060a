"""Backend.AI's own client and command line in session mode: with an e-mail address and a password."""

import importlib.util
import json

import pytest

from conftest import BackendAI
from processes import PASSWORD
from test_backendai import assert_served

WRONG = "wr0ng-guess!"
newest = pytest.mark.skipif(
    importlib.util.find_spec("ai.backend.client.cli.v2") is None, reason="this client has no second command line"
)


class Person:
    """Somebody with an account, whose client keeps what it keeps in a folder of its own."""

    def __init__(self, gateway, username, home):
        gateway.sign_up(username)
        self.username = username
        self.email = f"{username}@example.com"
        self.client = BackendAI(
            gateway, home, "session", PERSON_EMAIL=self.email, BACKEND_USER=self.email, BACKEND_PASSWORD=PASSWORD
        )

    def log_in(self, password=PASSWORD):
        return self.client.command("login", typed=f"{self.email}\n{password}\n")

    def lists_folders(self):
        done = self.client.command("vfolder", "list")
        if done.returncode == 0:
            assert "plans" in done.stdout, done.stdout + done.stderr
            return True
        assert "401" in done.stdout + done.stderr, done.stdout + done.stderr
        return False

    def kept_session(self):
        """The file in which the client keeps its cookie, as browsers do."""
        (file,) = self.client.home.rglob("cookie.dat")
        assert "__Host-vestibule" in file.read_bytes().decode(errors="replace")
        return file


@pytest.fixture
def person(gateway, tmp_path):
    return lambda username: Person(gateway, username, tmp_path)


def test_the_command_line_signs_in_lists_folders_and_signs_out(person):
    ann = person("session-ann")
    done = ann.log_in()
    assert done.returncode == 0 and "Login succeeded" in done.stdout + done.stderr, done.stdout + done.stderr
    assert ann.lists_folders()

    file = ann.kept_session()
    session = file.read_bytes()
    done = ann.client.command("logout")
    assert "Logout done" in done.stdout + done.stderr, done.stdout + done.stderr
    assert not file.exists()
    # It is over, not only forgotten by the client.
    file.write_bytes(session)
    assert not ann.lists_folders()


def test_the_command_line_is_told_of_a_wrong_password(person):
    ann = person("session-bob")
    done = ann.log_in(WRONG)
    said = done.stdout + done.stderr
    assert done.returncode != 0 and "Login failed" in said and "password" in said.lower(), said
    assert not list(ann.client.home.rglob("cookie.dat"))


def test_the_library_signs_in_reads_writes_listens_and_signs_out(person):
    ann = person("session-cho")
    done = ann.client.library(PASSWORD)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["login"]["authenticated"] is True
    assert said["login"]["data"]["status"] == "active"
    assert_served(said, ann.username)
    assert said["after"]["refused"] == 401


def test_the_library_is_told_of_a_wrong_password(person):
    ann = person("session-dan")
    done = ann.client.library(WRONG)
    assert done.returncode == 0, done.stderr
    (refusal,) = json.loads(done.stdout)["refusals"]
    assert refusal["refused"] == 200
    assert refusal["problem"]["type"].endswith("/.auth/problems/invalid-credentials")


def test_the_lock_is_one_for_the_client_and_the_page(gateway, person):
    ann = person("session-eve")
    for _ in range(5):
        assert gateway.post("login", login=ann.email, password=WRONG).status_code == 401
    done = ann.client.library(*[WRONG] * 6)
    assert done.returncode == 0, done.stderr
    assert [refusal["refused"] for refusal in json.loads(done.stdout)["refusals"]] == [200] * 6
    assert gateway.post("login", login=ann.email, password=PASSWORD).status_code == 429
    (refusal,) = json.loads(ann.client.library(PASSWORD).stdout)["refusals"]
    assert refusal["refused"] == 429
    said = ann.log_in().stderr
    assert "429" in said and "succeeded" not in said, said


@newest
def test_the_second_command_line_signs_in_asks_and_signs_out(person):
    ann = person("session-gil")
    query = "{ vfolder_list(limit: 3, offset: 0) { items { name } total_count } }"
    done = ann.client.command("v2", "login", BACKEND_PASSWORD=WRONG)
    assert done.returncode != 0 and "Login failed: " in done.stdout + done.stderr, done.stdout + done.stderr
    assert "password" in done.stdout + done.stderr
    done = ann.client.command("v2", "login")
    assert done.returncode == 0, done.stdout + done.stderr
    done = ann.client.command("v2", "gql", query)
    assert done.returncode == 0 and "plans" in done.stdout, done.stdout + done.stderr

    file = ann.kept_session()
    session = file.read_bytes()
    assert ann.client.command("v2", "logout").returncode == 0
    file.write_bytes(session)
    assert ann.client.command("v2", "gql", query).returncode != 0
