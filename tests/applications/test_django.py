"""Django's RemoteUserMiddleware behind the preset `django`, as the manual sets it up."""

import sys

import pytest
import requests

from conftest import SERVERS, gateway_with, start


@pytest.fixture(scope="module")
def django(tmp_path_factory):
    process, port = start(
        "django",
        lambda port, folder: [sys.executable, SERVERS / "django_users.py", str(port)],
        tmp_path_factory.mktemp("django"),
    )
    yield port
    process.stop()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, django):
    front = gateway_with(
        tmp_path_factory.mktemp("gateway"),
        f"""
[upstream.app]
servers = ["http://127.0.0.1:{django}"]
preset = "django"

[[route]]
path = "/"
allow = "optional"
upstream = "app"
""",
    )
    yield front
    front.process.stop()


def client(gateway, cookie=None):
    client = requests.Session()
    # What the environment trusts goes before that.
    client.trust_env = False
    client.verify = str(gateway.authority)
    if cookie:
        client.cookies.set(*cookie.split("=", 1))
    return client


def test_whoever_signed_in_is_the_user(gateway):
    ann = client(gateway, gateway.sign_up("ann"))
    told = ann.get(f"{gateway.origin}/?a=b", timeout=30).json()
    assert (told["user"], told["url"]) == ("ann", f"{gateway.origin}/?a=b")
    # Who ben is, nobody remembers of ann.
    ben = client(gateway, gateway.sign_up("ben"))
    ben.cookies.update({name: value for name, value in ann.cookies.items() if name == "sessionid"})
    assert ben.get(gateway.origin, timeout=30).json()["user"] == "ben"


@pytest.mark.parametrize("name", ["Remote-User", "Remote_User", "remote.user", "HTTP_REMOTE_USER"])
def test_nobody_is_a_user_by_their_own_word(gateway, django, name):
    alone = requests.get(f"http://localhost:{django}", headers={"Remote-User": "root"}, timeout=30)
    assert alone.json()["user"] == "root", "the server alone believes it"
    told = client(gateway).get(gateway.origin, headers={name: "root"}, timeout=30).json()
    assert told["user"] == ""


def test_a_form_is_taken_and_signing_out_there_signs_out_here(gateway):
    eve = client(gateway, gateway.sign_up("eve"))
    token = eve.get(gateway.origin, timeout=30).json()["token"]
    # Django compares these with the scheme and host that it believes to be asked by.
    own = {"Origin": gateway.origin, "Referer": f"{gateway.origin}/", "X-CSRFToken": token}
    posted = eve.post(gateway.origin, headers=own, timeout=30)
    assert posted.status_code == 200 and posted.json()["method"] == "POST", posted.text
    foreign = eve.post(gateway.origin, headers={**own, "Origin": "https://elsewhere.example"}, timeout=30)
    assert foreign.status_code == 403
    left = eve.post(f"{gateway.origin}/logout/", headers=own, allow_redirects=False, timeout=30)
    assert (left.status_code, left.headers["Location"]) == (302, "/.auth/logout")
    assert eve.get(f"{gateway.origin}/.auth/logout", timeout=30).ok
