"""Files that are copied and moved through the gateway."""

import subprocess

import requests


def ask(gateway, key, method, path, **headers):
    return requests.request(
        method, gateway.origin + path, data=headers.pop("data", None), headers=headers, auth=key, verify=gateway.authority
    )


def test_files_are_copied_and_moved(gateway, server, keys):
    ann, _ = keys
    assert ask(gateway, ann, "PUT", "/one%20file", data="content").status_code == 201
    for method, source, destination in [
        ("COPY", "/one%20file", f"{gateway.origin}/two%20files"),
        ("MOVE", "/two%20files", "/three"),
        ("MOVE", "/three", f"{gateway.origin}/one%20file"),
    ]:
        answer = ask(gateway, ann, method, source, Destination=destination)
        assert answer.status_code in (201, 204), (method, destination, answer.text)
    assert [file.name for file in server.files.iterdir()] == ["one file"]
    assert (server.files / "one file").read_text() == "content"


def test_what_belongs_to_others_is_not_written_by_way_of_a_destination(gateway, server, keys):
    ann, carl = keys
    assert ask(gateway, carl, "MKCOL", "/cad/").status_code == 201
    assert ask(gateway, ann, "PUT", "/plan", data="plan").status_code == 201
    origin = gateway.origin
    for destination, status in [
        (f"{origin}/cad/plan", 403),
        ("/cad/plan", 403),
        (f"{origin}/x/../cad/plan", 400),
        (f"{origin}//cad/plan", 400),
        (f"{origin}/%63ad/plan", 400),
        (f"{origin}/x?/../cad/plan", 400),
        ("//localhost/cad/plan", 400),
        ("https://elsewhere.example/cad/plan", 403),
    ]:
        for method in ("COPY", "MOVE"):
            assert ask(gateway, ann, method, "/plan", Destination=destination).status_code == status, destination
    assert list((server.files / "cad").iterdir()) == []
    assert ask(gateway, carl, "COPY", "/plan", Destination=f"{origin}/cad/plan").status_code in (201, 204)
    assert (server.files / "cad" / "plan").read_text() == "plan"


def test_litmus(gateway, server, keys):
    """The tests of a WebDAV server; nginx's has no PROPFIND, without which none of them begins."""
    if server.process.log.name == "nginx.log":
        return
    command = ["litmus", "-k", "--", f"{gateway.origin}/", *keys[0]]  # A secret may begin with a dash.
    done = subprocess.run(command, cwd=gateway.folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("summary for") == 5
