"""A body that an application leaves unread is no request, and moves nobody's answer (S45)."""

import http.client
import ssl
import sys

import pytest

from conftest import SERVERS, gateway_with, start

SMUGGLED = b"DELETE /admin/users/7 HTTP/1.1\r\nHost: a\r\nRemote-User: root\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    process, port = start(
        "server", lambda port, folder: [sys.executable, SERVERS / "unread.py", str(port)], tmp_path_factory.mktemp("server")
    )
    yield port
    process.stop()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, server):
    front = gateway_with(
        tmp_path_factory.mktemp("gateway"),
        f'''
[[route]]
path = "/"
allow = "public"
upstream = "http://127.0.0.1:{server}"
''',
    )
    yield front
    front.process.stop()


def ask(gateway, method, path, body=None):
    trust = ssl.create_default_context(cafile=gateway.authority)
    connection = http.client.HTTPSConnection("localhost", gateway.port, timeout=30, context=trust)
    connection.request(method, path, body=body)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize(
    "method",
    ["GET", "HEAD", "OPTIONS", "DELETE", "COPY", "MOVE", "UNLOCK", "LINK", "UNLINK", "PURGE", "get", "post", "WHATEVER"],
)
def test_s45_what_is_left_unread_is_not_asked_for(gateway, server, method, is_chunked):
    for count in range(5):
        # What comes from an iterator is sent in chunks.
        body = iter([SMUGGLED]) if is_chunked else SMUGGLED
        assert ask(gateway, method, f"/{method}{count}", body)[0] == 200
        assert ask(gateway, "GET", f"/next{count}") == (200, f"/next{count}")
    asked = http.client.HTTPConnection("127.0.0.1", server, timeout=30)
    asked.request("GET", "/asked")
    lines = asked.getresponse().read().decode().splitlines()
    assert f"{method} /{method}4" in lines and "GET /next4" in lines
    assert not any("/admin" in line for line in lines), lines


def test_s45_a_refused_body_moves_nobodys_answer(gateway):
    for count in range(5):
        assert ask(gateway, "POST", f"/refused{count}", SMUGGLED)[0] == 403
        assert ask(gateway, "GET", f"/after{count}") == (200, f"/after{count}")
