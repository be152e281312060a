"""Apache's mod_dav, nginx's dav module and WsgiDAV, and the gateway in front of each, each a process of its own."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from processes import Gateway, Process, free_port, listens

MODULES = Path("/usr/lib/apache2/modules")


class Server:
    """A WebDAV server in a folder that it can enter: as root, Apache serves as another user."""

    def __init__(self, name, command, settings=lambda folder, port: ""):
        self.folder = Path(tempfile.mkdtemp(prefix=f"vestibule-{name}-"))
        self.files = self.folder / "files"
        self.files.mkdir()
        self.port = free_port()
        (self.folder / "server.conf").write_text(settings(self.folder, self.port))
        self.folder.chmod(0o755)
        if os.geteuid() == 0:
            for path in (self.folder, self.files):
                shutil.chown(path, "www-data", "www-data")
        self.process = Process(name, command(self.folder, self.port), self.folder)
        self.process.await_that(lambda: listens(self.port))

    def stop(self):
        self.process.stop()
        shutil.rmtree(self.folder)


def apache():
    def settings(folder, port):
        modules = ["mpm_event", "authz_core", "dav", "dav_fs"]
        loads = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in modules)
        return f"""
{loads}
ServerRoot {folder}
ServerName localhost
Listen 127.0.0.1:{port}
User www-data
Group www-data
PidFile {folder}/pid
ErrorLog {folder}/error.log
DocumentRoot {folder}/files
DavLockDB {folder}/locks
<Directory {folder}/files>
    Require all granted
    Dav On
</Directory>
"""

    def command(folder, port):
        return ["/usr/sbin/apache2", "-X", "-f", folder / "server.conf"]

    return Server("apache", command, settings)


def nginx():
    def settings(folder, port):
        places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        temporary = "\n".join(f"{place}_temp_path {folder}/{place};" for place in places)
        return f"""
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    {temporary}
    server {{
        listen 127.0.0.1:{port};
        root {folder}/files;
        dav_methods PUT DELETE MKCOL COPY MOVE;
        create_full_put_path on;
    }}
}}
"""

    def command(folder, port):
        return ["/usr/sbin/nginx", "-e", folder / "error.log", "-p", folder, "-c", folder / "server.conf"]

    return Server("nginx", command, settings)


def wsgidav():
    def command(folder, port):
        place = ["--host=127.0.0.1", f"--port={port}", f"--root={folder / 'files'}"]
        return [sys.executable, "-m", "wsgidav.server.server_cli", "--no-config", "--auth=anonymous", *place]

    return Server("wsgidav", command)


@pytest.fixture(scope="module", params=[apache, nginx, wsgidav], ids=["apache", "nginx", "wsgidav"])
def server(request):
    server = request.param()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, server):
    front = Gateway(
        tmp_path_factory.mktemp("gateway"),
        f"""
[login]
iam = true

[[route]]
path = "/"
allow = "authenticated"
upstream = "http://127.0.0.1:{server.port}"

[[route]]
path = "/cad"
allow = {{ groups = ["cad"] }}
upstream = "http://127.0.0.1:{server.port}"
""",
    )
    yield front
    front.process.stop()


@pytest.fixture(scope="module")
def keys(gateway):
    """The access keys of somebody, and of somebody in the group."""
    made = []
    for name in ("ann", "carl"):
        gateway.sign_up(name)
        made.append(gateway.command("key", "create", f"{name}@example.com"))
    gateway.command("user", "set-groups", "carl@example.com", "--group", "cad")
    return [(key["access_key"], key["secret_key"]) for key in made]
