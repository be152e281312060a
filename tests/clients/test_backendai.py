"""Backend.AI's own client and command line, with an access key."""

import json

import pytest

from conftest import BackendAI


@pytest.fixture
def signing(gateway, key, tmp_path):
    def signing(secret=key.secret_key):
        credentials = {"BACKEND_ACCESS_KEY": key.access_key, "BACKEND_SECRET_KEY": secret}
        return BackendAI(gateway, tmp_path, "api", **credentials)

    return signing


def test_the_command_line_lists_folders(signing):
    done = signing().command("vfolder", "list")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "plans" in done.stdout


def test_the_command_line_is_told_of_a_wrong_secret(signing):
    done = signing(secret="x" * 40).command("vfolder", "list")
    assert done.returncode != 0
    assert "401" in done.stdout + done.stderr, done.stdout + done.stderr


@pytest.mark.parametrize("hash_type", ["sha256", "sha384", "sha512"])
def test_the_library_reads_writes_and_listens(key, signing, hash_type):
    done = signing().library(hash_type)
    assert done.returncode == 0, done.stderr
    assert_served(json.loads(done.stdout), key.username)


def assert_served(said, username):
    """What the application tells of everything that the library asked for."""
    assert [answer["method"] for answer in said["answers"]] == ["GET", "POST", "DELETE"]
    # In session mode, too, the application is asked for its own paths.
    assert [answer["target"].partition("?")[0] for answer in said["answers"]] == [
        "/folders",
        "/folders/plans/files",
        "/folders/plans",
    ]
    for answer in said["answers"]:
        headers = dict(answer["headers"])
        assert headers["remote-user"] == username
        assert "authorization" not in headers and "cookie" not in headers
    assert said["answers"][1]["length"] == len(json.dumps({"name": "계획"}))
    assert said["websocket"] == [username, "안녕"]
    assert said["events"][:3] == ["0", "1", "2"]


def test_the_library_is_told_of_a_wrong_secret(signing):
    done = signing(secret="x" * 40).library("sha256")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["refused"] == 401
    assert said["problem"]["type"].endswith("/.auth/problems/signature-invalid")
