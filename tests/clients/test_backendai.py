"""Backend.AI's own client and command line, with nothing changed but where they go."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("backend.ai")
LIBRARY = [sys.executable, "-B", Path(__file__).with_name("backendai.py")]


@pytest.fixture
def run(gateway, key, tmp_path):
    def run(*command, secret=key.secret_key):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "LANG": "C.UTF-8",
            "SSL_CERT_FILE": str(gateway.authority),
            "BACKEND_ENDPOINT": gateway.origin,
            "BACKEND_ENDPOINT_TYPE": "api",
            "BACKEND_ACCESS_KEY": key.access_key,
            "BACKEND_SECRET_KEY": secret,
        }
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def test_the_command_line_lists_folders(run):
    done = run(COMMAND, "vfolder", "list")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "plans" in done.stdout


def test_the_command_line_is_told_of_a_wrong_secret(run):
    done = run(COMMAND, "vfolder", "list", secret="x" * 40)
    assert done.returncode != 0
    assert "401" in done.stdout + done.stderr, done.stdout + done.stderr


@pytest.mark.parametrize("hash_type", ["sha256", "sha384", "sha512"])
def test_the_library_reads_writes_and_listens(key, run, hash_type):
    done = run(*LIBRARY, hash_type)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert [answer["method"] for answer in said["answers"]] == ["GET", "POST", "DELETE"]
    for answer in said["answers"]:
        headers = dict(answer["headers"])
        assert headers["remote-user"] == key.username
        assert "authorization" not in headers
    assert said["answers"][1]["length"] == len(json.dumps({"name": "계획"}))
    assert said["websocket"] == [key.username, "안녕"]
    assert said["events"][:3] == ["0", "1", "2"]


def test_the_library_is_told_of_a_wrong_secret(run):
    done = run(*LIBRARY, "sha256", secret="x" * 40)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["refused"] == 401
    assert said["problem"]["type"].endswith("/.auth/problems/signature-invalid")
