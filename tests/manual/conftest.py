"""The manual's pages as lists of blocks, and a gateway at which their commands are typed."""

import contextlib
import functools
import http.server
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from processes import PASSWORD, PROGRAM, ROOT, free_port

PAGES = sorted((ROOT / "docs/manual").glob("*.md")) + [ROOT / "README.md"]
FENCE = re.compile(
    r"^(?:<!-- (?P<marker>[^\n]*?) -->\n+)?(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass
class Block:
    page: str
    line: int
    language: str
    text: str
    #: Why it is not run here, as `<!-- not run: … -->` above the block says, or where it is tested instead.
    excuse: str | None

    def __str__(self):
        return f"{self.page}:{self.line}"


def blocks():
    for page in PAGES:
        text = page.read_text()
        for found in FENCE.finditer(text):
            marker = found["marker"] or ""
            yield Block(
                page.stem,
                text[: found.start("language")].count("\n") + 1,
                found["language"],
                found["text"],
                marker.removeprefix("not run: ") if marker.startswith("not run: ") else None,
            )


BLOCKS = list(blocks())

CONFIGURATION = """
public_url = "https://console.example.com"

[listen]
https = ["127.0.0.1:{port}"]
ops = "127.0.0.1:{ops}"

[signup]
mode = "open"
approval = true

[login]
iam = true

[password]
bcrypt_cost = 10

[log]
access_file = "/var/log/vestibule/access.jsonl"

[audit]
file = "/var/log/vestibule/audit.jsonl"

[[route]]
host = "console.example.com"
upstream = "demo:"

[[route]]
host = "console.example.com"
path = "/ops"
allow = {{ groups = ["ops"] }}
upstream = "demo:"

[[route]]
host = "console.example.com"
path = "/disks"
allow = "public"
upstream = "http://127.0.0.1:{application}"

[[route]]
host = "console.example.com"
path = "/cad"
allow = {{ groups = ["cad"] }}
upstream = "demo:"

[[route]]
host = "localhost"
upstream = "demo:"
"""

#: systemd's command, for the one service that there is. It is no part of what is tested: the gateway is.
SYSTEMCTL = """#!/bin/bash
set -eu
stop() {{ kill -TERM "$(cat {folder}/pid)"; tail --pid="$(cat {folder}/pid)" -f /dev/null; }}
start() {{
    cd {folder}/srv
    setsid vestibule serve </dev/null >>{folder}/out.log 2>>{folder}/gateway.log & echo $! >{folder}/pid
    for _ in $(seq 600); do curl -sf http://127.0.0.1:{ops}/readyz >/dev/null && return; sleep 0.05; done
    exit 1
}}
case "$*" in
"stop vestibule") stop ;;
"start vestibule" | "enable --now vestibule") start ;;
"restart vestibule") stop; start ;;
"reload vestibule") vestibule reload ;;
"daemon-reload") ;;
"kill --kill-whom=main --signal=SIGUSR1 vestibule.service") kill -USR1 "$(cat {folder}/pid)" ;;
*) echo "systemctl $*: not known here" >&2; exit 1 ;;
esac
"""


class Scene:
    """A gateway in a folder of its own, which is what the commands of a page have for `/`.

    The paths of the manual that begin at the root are moved below the folder, `console.example.com` is this gateway, and
    passwords are typed at a terminal.
    """

    def __init__(self, folder):
        self.folder = folder
        self.port, self.ops = free_port(), free_port()
        self.application = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
        threading.Thread(target=self.application.serve_forever, daemon=True).start()
        self.srv = folder / "srv"
        for name in ("srv/config", "srv/certs", "var/log/vestibule", "var/backups/vestibule", "bin", "etc", "mnt/keys"):
            (folder / name).mkdir(parents=True)
        (self.srv / "config/vestibule.toml").write_text(
            self.moved(CONFIGURATION.format(port=self.port, ops=self.ops, application=self.application.server_port))
        )
        (folder / ".curlrc").write_text(
            f'connect-to = "console.example.com:443:127.0.0.1:{self.port}"\n'
            f'connect-to = "localhost:8443:127.0.0.1:{self.port}"\n'
            f'connect-to = "127.0.0.1:9464:127.0.0.1:{self.ops}"\n'
            f'cacert = "{self.srv}/certs/local-ca.pem"\nsilent\nshow-error\nfail\n'
        )
        self.tool("vestibule", f'#!/bin/sh\nexec {PROGRAM} "$@"\n')
        self.tool("systemctl", SYSTEMCTL.format(folder=folder, ops=self.ops))
        self.environment = {
            "PATH": f"{folder}/bin:{os.environ['PATH']}",
            "HOME": str(folder),
            "CURL_HOME": str(folder),
            "LANG": "C.UTF-8",
        }

    def tool(self, name, text):
        file = self.folder / "bin" / name
        file.write_text(text)
        file.chmod(0o755)

    def moved(self, text):
        return re.sub(r"(?<![\w.:/])/(?=(?:var|etc|srv|mnt)/)", f"{self.folder}/", text)

    def bash(self, text, typed=PASSWORD):
        """Types these lines at a terminal; answers with the status and what the terminal shows."""
        script = self.folder / "block.sh"
        script.write_text(f"set -euo pipefail\n{self.moved(text)}")
        command = ["timeout", "40", "script", "--quiet", "--return", "--command", f"bash {script}", "/dev/null"]
        child = subprocess.Popen(
            command,
            cwd=self.srv,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        typist = threading.Thread(target=self.type, args=(child, typed))
        typist.start()
        try:
            shown = child.stdout.read()
            return child.wait(60), shown
        finally:
            typist.join()

    @staticmethod
    def type(child, line):
        """Again and again: some programs drop what was typed before they asked."""
        # Closing writes what a failed write left in the buffer, so it fails likewise once the program has ended.
        with contextlib.suppress(BrokenPipeError), child.stdin as terminal:
            while child.poll() is None:
                terminal.write(f"{line}\n")
                terminal.flush()
                time.sleep(0.2)

    def done(self, text):
        status, shown = self.bash(text)
        assert status == 0, f"{text}\n{shown}"
        return shown

    def stop(self):
        self.application.shutdown()
        pid = self.folder / "pid"
        if pid.exists() and Path(f"/proc/{pid.read_text().strip()}").exists():
            subprocess.run(["bash", "-c", f'kill "$(cat {pid})" && tail --pid="$(cat {pid})" -f /dev/null'], timeout=60)


@pytest.fixture
def scene():
    folder = Path(tempfile.mkdtemp(prefix="vestibule-manual-"))
    scene = Scene(folder)
    yield scene
    scene.stop()
    shutil.rmtree(folder)


@pytest.fixture
def database(scene):
    """A PostgreSQL server, which its commands find by their environment. An editor writes its URL into the configuration."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"))
    folder, port = Path(tempfile.mkdtemp(prefix="vestibule-manual-")), free_port()
    # PostgreSQL refuses to run as root.
    other = []
    if os.geteuid() == 0:
        user = pwd.getpwnam("nobody")
        os.chown(folder, user.pw_uid, user.pw_gid)
        other = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    run = functools.partial(subprocess.run, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    run([*other, programs / "initdb", "--pgdata=data", "--username=postgres", "--auth=trust", "--no-sync"])
    options = f"-h 127.0.0.1 -p {port} -k {folder} -F"
    run([*other, programs / "pg_ctl", "--pgdata=data", "--wait", "--log=log", f"--options={options}", "start"])
    scene.environment |= {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "postgres"}
    url = f"postgres://vestibule:{PASSWORD}@127.0.0.1:{port}/vestibule"
    scene.tool("editor", f"#!/bin/sh\nprintf '\\n[store]\\nurl = \"{url}\"\\n' >>\"$1\"\n")
    scene.environment["EDITOR"] = "editor"
    yield
    scene.stop()
    run([*other, programs / "pg_ctl", "--pgdata=data", "--mode=immediate", "stop"])
    shutil.rmtree(folder)
