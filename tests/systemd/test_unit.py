"""The unit, installed as the manual says and started by systemd, on a machine made of namespaces."""

import datetime
import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from processes import PROGRAM, ROOT

BOOT = Path(__file__).with_name("boot")
UNIT = ROOT / "contrib/systemd/vestibule.service"
SYSTEMD = Path("/usr/lib/systemd/systemd")
MANUAL = (ROOT / "docs/manual/install.md").read_text()

#: The machine's /dev is no file system of devices, of which systemd could make a smaller one.
MACHINE = """
mkdir -p /etc/systemd/system/vestibule.service.d
printf '[Service]\\nPrivateDevices=no\\n' >/etc/systemd/system/vestibule.service.d/machine.conf
"""

#: What the manual leaves to the operator's own eyes.
LOOK = """
pid=$(systemctl show --property=MainPID --value vestibule)
test "$(stat -c %U /proc/$pid)" = vestibule
# CAP_NET_BIND_SERVICE is the tenth capability, and the only one.
grep -q '^CapEff:.0000000000000400$' /proc/$pid/status
grep -q '^NoNewPrivs:.1$' /proc/$pid/status
test "$(stat -c '%U %a' /var/lib/vestibule /var/log/vestibule /run/vestibule | sort -u | tr '\\n' ' ')" = \
    'vestibule 700 vestibule 750 '
test -s /var/log/vestibule/audit.jsonl
test "$(stat -c %a /var/lib/vestibule/master.key)" = 600
curl --silent --show-error --fail --cacert console.pem https://console.example.com/.auth/login | grep -q Vestibule
curl --silent --output /dev/null --write-out '%{http_code}\\n' http://console.example.com/ | grep -qx 308
vestibule user list --json | grep -q '"accounts"'

# A mistake: the reload fails, and the same gateway runs on.
cp /etc/vestibule/vestibule.toml good.toml
printf '[sesion]\\n' >>/etc/vestibule/vestibule.toml
! systemctl reload vestibule
systemctl is-active vestibule
test "$(systemctl show --property=MainPID --value vestibule)" = "$pid"
cat good.toml >/etc/vestibule/vestibule.toml
systemctl reload vestibule
# So does a start: the service manager waits until the gateway serves.
printf '[sesion]\\n' >>/etc/vestibule/vestibule.toml
! systemctl restart vestibule
cat good.toml >/etc/vestibule/vestibule.toml
systemctl restart vestibule
curl --silent --fail http://127.0.0.1:9464/readyz
pid=$(systemctl show --property=MainPID --value vestibule)
# It comes back when it falls.
kill -KILL "$pid"
until [ "$(systemctl show --property=MainPID --value vestibule)" -gt 0 ] \
    && [ "$(systemctl show --property=MainPID --value vestibule)" != "$pid" ] \
    && curl --silent --fail http://127.0.0.1:9464/readyz; do sleep 0.1; done
systemctl stop vestibule
test "$(systemctl show --property=Result --value vestibule)" = success
test ! -e /run/vestibule
echo done with all
"""


def can_boot():
    """Whether this machine lets systemd run beside its own first process."""
    if os.geteuid() != 0 or not SYSTEMD.exists():
        return False
    probe = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--fork", "true"]
    return subprocess.run(probe, capture_output=True).returncode == 0


def test_the_unit_is_one_that_systemd_reads_without_a_warning(tmp_path):
    """Of a program that is there."""
    text = UNIT.read_text()
    for line in ("ExecStart", "ExecReload"):
        text = re.sub(rf"^{line}=\S+", f"{line}={PROGRAM}", text, flags=re.MULTILINE)
    (tmp_path / "vestibule.service").write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / "vestibule.service"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def blocks(language):
    found = re.findall(rf"(<!-- not run: [^\n]*\n)?^```{language}\n(.*?)^```", MANUAL, re.MULTILINE | re.DOTALL)
    return [text for excuse, text in found if not excuse]


def certify(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "console.example.com")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("console.example.com")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "console.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "console.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))


def test_the_manuals_installation_starts_reloads_and_stops(tmp_path):
    if not can_boot():
        pytest.skip("systemd runs as root, in namespaces of its own, and this machine has not both")
    work = tmp_path / "work"
    (work / "contrib/systemd").mkdir(parents=True)
    (work / "target/release").mkdir(parents=True)
    (work / "contrib/systemd/vestibule.service").write_text(UNIT.read_text())
    (configuration,) = blocks("toml")
    (work / "vestibule.toml").write_text(configuration)
    certify(work)
    (work / "target/release/vestibule").symlink_to("/root/vestibule")
    commands = "\n".join(blocks("sh"))
    (work / "commands").write_text(f"set -euxo pipefail\n{MACHINE}\n{commands}\n{LOOK}")
    # A control group of its own, below which systemd keeps those of its services.
    for hierarchy in (Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup")):
        if hierarchy.is_dir():
            break
    group = Path(tempfile.mkdtemp(prefix="vestibule-", dir=hierarchy))
    (tmp_path / "root").mkdir()
    namespaces = ["--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--fork", "--kill-child"]
    join = f'echo $$ >{group}/cgroup.procs; exec unshare {" ".join(namespaces)} "$@"'
    try:
        done = subprocess.run(
            ["timeout", "60", "bash", "-c", join, "join", BOOT, tmp_path / "root", PROGRAM, work / "commands"],
            capture_output=True,
            text=True,
        )
    finally:
        for folder in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
            folder.rmdir()
        group.rmdir()
    shown = (work / "shown").read_text() if (work / "shown").exists() else ""
    assert "done with all" in shown and done.returncode == 0, shown + done.stdout + done.stderr
