"""What the tests with real applications and clients share: processes, and a gateway in a folder of its own."""

import json
import os
import random
import socket
import subprocess
import time
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
PROGRAM = Path(os.environ.get("VESTIBULE", TARGET / "debug" / "vestibule"))
PASSWORD = "slate-Harbour_42"


def free_port():
    # Below the ports that the system gives to connections, which could take one before its server listens.
    while True:
        port = random.randrange(20_000, 32_768)
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def listens(port):
    return socket.create_connection(("127.0.0.1", port), 1).close() is None


class Process:
    """A process whose output is kept in a file, ended when the tests are done. It leads a group of its own."""

    def __init__(self, name, command, folder, environment=None):
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(os.environ, **(environment or {})),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self):
        return self.log.read_text(errors="replace")

    def await_that(self, ready, patience=60):
        deadline = time.monotonic() + patience
        while True:
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.log.name}:\n{self.said()}")
            try:
                if found := ready():
                    return found
            except (OSError, requests.RequestException):
                pass
            time.sleep(0.05)

    def runs(self):
        return self.child.poll() is None

    def kill(self):
        self.child.kill()
        self.child.wait()

    def stop(self):
        self.child.terminate()
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()


class Gateway:
    """The built program. `rest` is the configuration beside where it listens; `signup` and `listen` are what stands under
    these headings beside the mode and the addresses."""

    def __init__(self, folder, rest, signup="", listen="", environment=None):
        assert PROGRAM.exists(), f"{PROGRAM} is not built"
        self.folder = folder
        self.environment = environment
        self.port, self.ops = free_port(), free_port()
        self.origin = f"https://localhost:{self.port}"
        self.authority = folder / "certs" / "local-ca.pem"
        (folder / "vestibule.toml").write_text(
            f"""
public_url = "{self.origin}"

[listen]
https = ["127.0.0.1:{self.port}"]
ops = "127.0.0.1:{self.ops}"
{listen}

[signup]
mode = "open"
{signup}

[password]
bcrypt_cost = 10

{rest}
"""
        )
        self.start()

    def start(self):
        command = [PROGRAM, "serve", "--config", "vestibule.toml"]
        self.process = Process("vestibule", command, self.folder, self.environment)
        self.process.await_that(
            lambda: self.authority.exists()
            and requests.get(f"{self.origin}/.auth/login", verify=self.authority, timeout=5).ok
        )

    def post(self, path, headers=None, **fields):
        headers = {"Accept": "application/json", "Content-Type": "application/json", **(headers or {})}
        address = f"{self.origin}/.auth/{path}"
        return requests.post(
            address, data=json.dumps(fields), headers=headers, verify=self.authority, timeout=30
        )

    def ask(self, path, headers=None):
        headers = {"Accept": "application/json", **(headers or {})}
        return requests.get(f"{self.origin}/.auth/{path}", headers=headers, verify=self.authority, timeout=30)

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

    def command(self, *arguments):
        """The document that a command of the program answers with."""
        command = [PROGRAM, *arguments, "--config", "vestibule.toml", "--json"]
        done = subprocess.run(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)
