"""Every block of the manual is run: configurations are checked, commands are typed at a gateway.

A block that cannot be run here says why, in a comment above it: `<!-- not run: … -->`.
"""

import configparser
import grp
import json
import os
import pwd
import re
import subprocess
from pathlib import Path

import pytest
import tomllib
import yaml

from conftest import BLOCKS, PAGES
from processes import PASSWORD, PROGRAM, ROOT

LOGROTATE = Path(__file__).parent / ".logrotate"
CLIENTS = ROOT / "tests/clients"

#: Pages whose blocks are the subject of tests of their own.
ELSEWHERE = {
    ("behind-a-proxy", "nginx"): "tests/proxies",
    ("behind-a-proxy", "haproxy"): "tests/proxies",
    ("install", "sh"): "tests/systemd",
}

MINA = "vestibule user add mina@example.com --group dev\n"
KEY = """
key() { vestibule key create mina@example.com --name "$1" --json; }
document=$(key test)
export ACCESS_KEY=$(jq -r .access_key <<<"$document") SECRET_KEY=$(jq -r .secret_key <<<"$document")
"""
PEOPLE = "printf 'email,name,groups,language\\njisoo@example.com,,,\\n' >people.csv\n"
HASH = "$2y$10$abcdefghijklmnopqrstuugYrEDIDFuxdh2Ib2XsqUcLq1hVK8KkS"
HTPASSWD = f"printf '%s\\n' 'ann:{HASH}' 'bob:{HASH}' >people\n"
ADMINISTRATOR = "vestibule user add olive@example.com --group gateway-admin\n"
WAITING = """
for name in mina jisoo; do
    curl -o /dev/null -H 'Content-Type: application/json' -H 'Accept: application/json' \\
        -d "{\\"email\\": \\"$name@example.com\\", \\"username\\": \\"$name\\", \\"password\\": \\"PASSWORD\\",
            \\"password_confirm\\": \\"PASSWORD\\"}" https://console.example.com/.auth/signup
done
""".replace("PASSWORD", PASSWORD)
BACKUP = "vestibule store backup /var/backups/vestibule/a-backup.jsonl\n"

#: A place without a configuration, and a network without other gateways on the usual ports.
ALONE = """
alone() {
    unshare --map-root-user --net bash -c 'ip link set lo up; timeout 8 "$@"' alone "$@" || test $? = 124
}
mkdir /mnt/new
"""

#: What is there before the commands of a page are typed.
BEFORE = {
    "access-keys": MINA + KEY,
    "accounts": PEOPLE + HTPASSWD,
    "administration": ADMINISTRATOR + MINA,
    "approval": WAITING,
    "audit": MINA,
    "backup": MINA + BACKUP + "cp certs/master.key /mnt/keys/\n",
    "coming-from": HTPASSWD,
    "first-run": ALONE,
    "pages": MINA,
    "postgresql": MINA,
    "signed-requests": MINA + KEY,
    "troubleshooting": MINA,
}

#: What stands in a block for something that a reader has and a test makes.
INSTEAD = {
    "access-keys": [
        (
            "AKIAIOSFODNN7EXAMPLE",
            """$(vestibule key list --json | jq -r '.access_keys[] | select(.name == "backup").access_key')""",
        )
    ],
    "accounts": [("revoke ID", "revoke $(vestibule invite list --json | jq -r '.invitations[0].id')")],
    "administration": [("YOUR-PASSWORD", PASSWORD)],
    "backup": [("FILE", "/var/backups/vestibule/a-backup.jsonl")],
    "first-run": [("target/release/vestibule serve", "cd /mnt/new; alone vestibule serve")],
    "pages": [("YOUR-PASSWORD", PASSWORD)],
    "postgresql": [
        (
            "pg_restore",
            "systemctl stop vestibule; psql --quiet -c 'DROP SCHEMA vestibule CASCADE' vestibule; PGUSER=vestibule pg_restore",
        )
    ],
}

#: What shows that they did what the page says.
AFTER = {
    "backup": "vestibule user show mina@example.com",
    "first-run": "vestibule check --config config/vestibule.toml; test -s certs/local-ca.pem",
    "postgresql": "systemctl start vestibule\nvestibule user show mina@example.com",
    "approval": "vestibule user show mina@example.com | grep -q 'status *active'",
    "administration": "vestibule user show mina@example.com | grep -q 'status *disabled'",
    "coming-from": "vestibule user show ann@example.com | grep -q 'groups *staff'",
}

#: Commands that never end, and what ends them here.
ENDLESS = [(re.compile(r"^(vestibule audit --follow)\b.*$", re.MULTILINE), r"! timeout 2 \1")]


def of(*languages):
    return [block for block in BLOCKS if block.language in languages and not block.excuse]


def commands(page):
    return [block for block in of("sh") if block.page == page]


TYPED = sorted({block.page for block in of("sh") if (block.page, "sh") not in ELSEWHERE})


def test_every_block_is_run_or_says_why_not():
    run = {"toml", "sh", "json", "console", "ini", "yaml", "csv", "logrotate", "python", "js"}
    for block in BLOCKS:
        is_run = block.language in run or (block.page, block.language) in ELSEWHERE
        # `text` is a single value, for the eye.
        assert block.excuse or is_run or block.language == "text", f"{block}: {block.language or 'no language'}"
    for page, _ in ELSEWHERE:
        assert any(block.page == page for block in BLOCKS), page


@pytest.mark.parametrize("block", of("toml"), ids=str)
def test_configurations_pass_check(block, tmp_path):
    document = tomllib.loads(block.text)
    text = block.text
    named = {route["upstream"] for route in document.get("route", []) if "upstream" in route}
    named = {name for name in named if "/" not in name and name != "demo:"}
    for name in named - set(document.get("upstream", {})):
        text += f'\n[upstream.{name}]\nservers = ["http://127.0.0.1:3000"]\n'
    if "route" not in document:
        upstream = next(iter(document.get("upstream", {})), "demo:")
        text += f'\n[[route]]\nupstream = "{upstream}"\n'
    for folder in ("config/pages", "certs", "var/lib", "var/log", "run"):
        (tmp_path / folder).mkdir(parents=True)
    moved = re.sub(r'(?<=")(sled:|unix:)?/(?=(?:var|etc|run)/)', rf"\g<1>{tmp_path}/", text)
    write_files(tomllib.loads(moved), tmp_path)
    file = tmp_path / "config/vestibule.toml"
    file.write_text(moved)
    variables = re.findall(r'env = "(\w+)"', text)
    environment = os.environ | dict.fromkeys(variables, "smtp://mail.example.com?tls=required")
    command = [PROGRAM, "check", "--config", file]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"


def write_files(document, folder):
    """The files that a configuration names."""
    authority = None
    for name in ("cert", "key", "file", "ca", "logo"):
        for value in filter(None, values(document, name)):
            path = folder / value
            path.parent.mkdir(parents=True, exist_ok=True)
            if name == "file":
                if path.suffix != ".jsonl" and path.name != "master.key":
                    url = "postgres://a:b@localhost/c" if "store" in path.name else "smtp://localhost"
                    path.write_text(url)
                    path.chmod(0o600)
            elif name == "logo":
                path.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>')
            elif name in ("ca", "cert"):
                key = path.with_suffix(".key")
                subprocess.run(
                    ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-keyout", key, "-out", path, "-subj", "/CN=a", "-days", "90",
                     "-addext", "subjectAltName=DNS:*.example.com,DNS:example.com"],
                    check=True, capture_output=True,
                )
                key.chmod(0o600)
    for pair in values(document, "certificates"):
        for each in pair:
            made = (folder / each["cert"]).with_suffix(".key")
            if made != folder / each["key"]:
                (folder / each["key"]).parent.mkdir(parents=True, exist_ok=True)
                made.rename(folder / each["key"])


def values(document, name):
    if isinstance(document, dict):
        for key, value in document.items():
            if key == name:
                yield value
            yield from values(value, name)
    elif isinstance(document, list):
        for value in document:
            yield from values(value, name)


@pytest.mark.parametrize("page", TYPED)
def test_commands_can_be_typed(page, scene, request):
    if page == "postgresql":
        request.getfixturevalue("database")
    scene.done("systemctl start vestibule")
    text = BEFORE.get(page, "")
    for block in commands(page):
        typed = block.text
        for word, stands_for in INSTEAD.get(page, []):
            typed = typed.replace(word, stands_for)
        for command, ended in ENDLESS:
            typed = command.sub(ended, typed)
        text += typed
    if page in AFTER:
        text += AFTER[page]
    scene.done(text)


@pytest.mark.parametrize("block", of("console"), ids=str)
def test_what_commands_show_is_what_the_manual_says(block, scene):
    """Of each line the word that says what it is about: what follows differs with the day and the machine."""
    scene.done("systemctl start vestibule\n" + BEFORE.get(block.page, ""))
    command, *lines = block.text.splitlines()
    command = command.removeprefix("$ ")
    if "--request" in command:
        scene.done(
            "curl -o /dev/null -c jar -H 'Content-Type: application/json' -H 'Accept: application/json' "
            f"""-d '{{"login": "mina@example.com", "password": "{PASSWORD}"}}' https://console.example.com/.auth/login\n"""
            "curl --no-fail -b jar -H 'Accept: application/json' https://console.example.com/ops/disks | jq -r .request_id >id\n"
        )
        command = re.sub("--request \\w+", "--request $(cat id)", command)
    status, shown = scene.bash(command)
    assert status == (1 if "doctor" in command else 0), shown
    # doctor begins with its judgement, which differs too.
    column = 1 if "doctor" in command else 0
    told = {tuple(line.split()[:2])[column:] for line in shown.splitlines()}
    told = {words[0] for words in told if words}
    for line in lines:
        if line[0] in "… 1":
            continue
        assert line.split()[column] in told, f"{line}\n{shown}"


@pytest.mark.parametrize("block", of("logrotate"), ids=str)
def test_logs_are_rotated(block, scene):
    scene.done("systemctl start vestibule\ncurl --no-fail -o /dev/null https://console.example.com/before")
    me = f"{pwd.getpwuid(os.getuid()).pw_name} {grp.getgrgid(os.getgid()).gr_name}"
    assert "su vestibule vestibule" in block.text
    settings = scene.folder / "etc/logrotate"
    settings.write_text(scene.moved(block.text.replace("su vestibule vestibule", f"su {me}")))
    settings.chmod(0o644)
    (libraries,) = LOGROTATE.glob("usr/lib/*-linux-gnu")
    program = f"LD_LIBRARY_PATH={libraries} {LOGROTATE}/usr/sbin/logrotate"
    scene.done(f"{program} --force --state {scene.folder}/state {settings}")
    scene.done(
        f"until grep -q 'opened again' {scene.folder}/gateway.log; do sleep 0.05; done\n"
        "curl --no-fail -o /dev/null https://console.example.com/after"
    )
    logs = scene.folder / "var/log/vestibule"
    assert '"/before"' in (logs / "access.jsonl.1").read_text()
    assert '"/after"' in (logs / "access.jsonl").read_text()
    assert (logs / "audit.jsonl.1").exists()


@pytest.mark.parametrize("block", of("json"), ids=str)
def test_lines_of_json_have_the_fields_that_are_there(block, scene):
    """Of the access log, which is the one that a page shows."""
    document = json.loads(block.text)
    scene.done("systemctl start vestibule\ncurl --no-fail -o /dev/null https://console.example.com/disks\n")
    (line,) = (scene.folder / "var/log/vestibule/access.jsonl").read_text().splitlines()
    assert list(json.loads(line)) == list(document)


#: What leads a program's connections to the gateway, as a name server and port 443 would.
LEAD = {
    "python": """
import socket
lookup = socket.getaddrinfo
socket.getaddrinfo = lambda host, port, *rest, **more: lookup("127.0.0.1", PORT, *rest, **more)
""",
    "js": """
const tls = require("node:tls");
const connect = tls.connect;
tls.connect = (to, ...rest) => connect({ ...to, host: "127.0.0.1", port: PORT, servername: to.host }, ...rest);
""",
}


@pytest.mark.parametrize("block", of("python", "js"), ids=str)
def test_programs_sign_in(block, scene):
    """With the packages of tests/clients."""
    scene.done("systemctl start vestibule\n" + MINA)
    lead = LEAD[block.language].replace("PORT", str(scene.port))
    if block.language == "python":
        (scene.srv / "block.py").write_text(lead + block.text)
        command = f"REQUESTS_CA_BUNDLE=certs/local-ca.pem {CLIENTS}/.venv/bin/python block.py"
    else:
        (scene.srv / "node_modules").symlink_to(CLIENTS / "node_modules")
        (scene.srv / "block.mjs").write_text(block.text)
        (scene.srv / "lead.cjs").write_text(lead)
        command = "NODE_EXTRA_CA_CERTS=certs/local-ca.pem node --require ./lead.cjs block.mjs"
    scene.done(f"{KEY}\n{command}")
    (line,) = (scene.folder / "var/log/vestibule/access.jsonl").read_text().splitlines()
    answered = json.loads(line)
    assert (answered["user"], answered["path"], answered["status"]) == ("mina", "/items", 200), answered


@pytest.mark.parametrize("block", of("ini", "yaml", "csv"), ids=str)
def test_other_files_can_be_read(block, tmp_path):
    """By what reads them, or by one that knows their grammar."""
    if block.language == "yaml":
        assert isinstance(yaml.safe_load(block.text), dict)
    elif "ExecStart" in block.text:
        for name, text in re.findall(r"^# (\S+)\n((?:(?!# ).*\n)*)", block.text, re.MULTILINE):
            (tmp_path / name).write_text(re.sub(r"ExecStart=\S+", f"ExecStart={PROGRAM}", text))
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", tmp_path / name], capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, ""), done.stderr
    elif block.language == "ini":
        parser = configparser.ConfigParser()
        parser.read_string(block.text)
        assert parser.sections()


def test_links_lead_somewhere():
    """Files, and headings in them."""
    for page in PAGES:
        for text, target in re.findall(r"\[([^\]]*)\]\(([^)\s]+)\)", page.read_text()):
            if re.match(r"https?:|mailto:", target):
                continue
            path, _, heading = target.partition("#")
            file = (page.parent / path) if path else page
            assert file.exists(), f"{page.name}: {target}"
            if heading:
                titles = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
                slugs = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
                assert heading in slugs, f"{page.name}: {target} {sorted(slugs)}"
