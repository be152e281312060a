"""Behind a CGI server, which takes every sign in a header's name for one (S40)."""

import json

import pytest

from conftest import Raw, gateway_with, node, start

SIGNS = "!#$%&'*+-.^_`|~"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, cgi_server):
    front = gateway_with(
        tmp_path_factory.mktemp("gateway"),
        f"""
[[route]]
path = "/"
allow = "optional"
upstream = "http://127.0.0.1:{cgi_server}"
""",
    )
    yield front
    front.process.stop()


def claims(sign):
    return [f"{name.replace('-', sign)}: forged" for name in ("Remote-User", "Remote-Groups", "X-Real-Ip", "X-Forwarded-For")]


@pytest.mark.parametrize("sign", SIGNS)
def test_a_program_is_told_of_nobody_by_a_client(gateway, cgi_server, sign):
    status, body = Raw(cgi_server).get("/", claims(sign))
    assert status == 200 and "forged" in body, "the server alone believes it"
    status, body = Raw(gateway.port, gateway.authority).get("/", claims(sign))
    assert status == 200 and "forged" not in body, body


def test_an_account_without_groups_is_in_none(gateway):
    cookie = gateway.sign_up("ann")
    raw = Raw(gateway.port, gateway.authority)
    for sign in SIGNS:
        status, body = raw.get("/", [f"Cookie: {cookie}", *claims(sign)])
        told = json.loads(body)
        assert status == 200 and told["HTTP_REMOTE_USER"] == "ann" and "HTTP_REMOTE_GROUPS" not in told, told


def test_an_application_that_drops_fields_is_told_who_it_is_first(tmp_path_factory):
    server, port = start("headers", node("headers.cjs"), tmp_path_factory.mktemp("headers"))
    front = gateway_with(
        tmp_path_factory.mktemp("gateway"),
        f"""
[[route]]
path = "/"
allow = "authenticated"
upstream = "http://127.0.0.1:{port}"
""",
    )
    cookie = front.sign_up("ann")
    many = [f"X-{number}: 1" for number in range(1500)]
    conditions = ["Overwrite: F", "If: (<opaquelocktoken:1>)", f"Destination: https://{front.authority}/b"]
    status, body = Raw(front.port, front.authority).get("/", [*many, f"Cookie: {cookie}", *conditions])
    told = json.loads(body)
    assert status == 200 and "x-1499" not in told, "it drops some"
    kept = [told.get(name) for name in ("remote-user", "x-forwarded-for", "x-forwarded-proto", "overwrite", "if")]
    assert kept == ["ann", "127.0.0.1", "https", "F", "(<opaquelocktoken:1>)"], kept
    assert told.get("destination", "").endswith("/b"), told
    for repeated in ("Depth: 0", "Cookie: a"):
        status, body = Raw(front.port, front.authority).get("/", [repeated] * 860 + [f"Cookie: {cookie}"] + many[:600])
        assert status == 200 and json.loads(body).get("remote-user") == "ann", (repeated, status)
        status, _ = Raw(front.port, front.authority).get("/", [repeated] * 1100 + [f"Cookie: {cookie}"])
        assert status in (400, 431), (repeated, status)
    front.process.stop()
    server.stop()
