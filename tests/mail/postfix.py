"""Debian's Postfix in a folder of its own: one port of loopback, one mailbox for all of example.com."""

import os
import pwd
import shutil
import tempfile
from pathlib import Path

from conftest import Mail, Mailbox
from processes import Process, free_port, listens

# Where `tests/install` unpacks it.
PACKAGE = Path(__file__).resolve().parent / ".postfix"
PROGRAMS = PACKAGE / "usr" / "lib" / "postfix" / "sbin"
LIBRARIES = PROGRAMS.parent

# Somebody whom every Debian machine knows. Postfix drops its rights for this one.
OWNER = "daemon"

QUEUES = "active bounce corrupt defer deferred flush hold incoming maildrop pid private public saved trace"

SERVICES = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""

SETTINGS = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {programs}
command_directory = {package}/usr/sbin
shlib_directory = {libraries}
meta_directory = {folder}/settings
mail_owner = {owner}
setgid_group = mail
maillog_file = {folder}/postfix-mails.log
maillog_file_prefixes = {folder}
import_environment = MAIL_CONFIG LD_LIBRARY_PATH
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.example.com
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
virtual_mailbox_domains = example.com
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
smtpd_recipient_restrictions = reject_unauth_destination
"""


class Postfix(Mailbox):
    """Not where pytest keeps its folders, which let nobody else in."""

    def __init__(self, **settings):
        assert PROGRAMS.exists(), "Postfix is not there: run tests/install tests"
        self.folder = Path(tempfile.mkdtemp(prefix="postfix-"))
        self.port = free_port()
        owner = pwd.getpwnam(OWNER)
        for name in ["settings", "data", "mail", "queue", *(f"queue/{name}" for name in QUEUES.split())]:
            (self.folder / name).mkdir()
            if name not in ("settings", "queue", "queue/pid"):
                os.chown(self.folder / name, owner.pw_uid, owner.pw_gid)
        self.folder.chmod(0o755)
        own = SETTINGS.format(
            folder=self.folder,
            package=PACKAGE,
            programs=PROGRAMS,
            libraries=LIBRARIES,
            owner=OWNER,
            uid=owner.pw_uid,
            gid=owner.pw_gid,
        )
        more = "".join(f"{name} = {value}\n" for name, value in settings.items())
        (self.folder / "settings" / "main.cf").write_text(own + more)
        (self.folder / "settings" / "master.cf").write_text(SERVICES.format(port=self.port))
        (self.folder / "settings" / "dynamicmaps.cf").touch()
        self.process = None

    def start(self):
        settings = self.folder / "settings"
        environment = {"LD_LIBRARY_PATH": str(LIBRARIES), "MAIL_CONFIG": str(settings)}
        command = [PROGRAMS / "master", "-c", settings, "-d"]
        self.process = Process("postfix", command, self.folder, environment)
        self.process.await_that(lambda: listens(self.port))
        return self

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder)

    @property
    def mails(self):
        """As they arrived. A file is in `new` when it is whole (maildir)."""
        files = (self.folder / "mail" / "all" / "new").glob("*")
        arrived = sorted(files, key=lambda file: file.stat().st_mtime_ns)
        return [self.read(file.read_bytes()) for file in arrived]

    @staticmethod
    def read(content):
        head = content.split(b"\n\n", 1)[0].decode()
        to = [line.split(": ", 1)[1] for line in head.splitlines() if line.startswith("X-Original-To: ")]
        return Mail(to, content, encrypted="using TLSv1" in head)
