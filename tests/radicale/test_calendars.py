"""Two people, their calendars, and what a client could try to see those of the other."""

import http.client
import ssl
from datetime import datetime, timezone

import caldav
import pytest
import requests

PRINCIPAL = (
    '<?xml version="1.0"?><d:propfind xmlns:d="DAV:"><d:prop><d:current-user-principal/></d:prop></d:propfind>'
)

# What changes nothing: {other} is the user that the client pretends to be.
PRETENCES = {
    "underscores": [("X_Remote_User", "{other}")],
    "mixed": [("X-Remote_User", "{other}")],
    "dots": [("X.Remote.User", "{other}")],
    "plain": [("X-Remote-User", "{other}")],
    "twice": [("x-remote-user", "{other}"), ("x-remote-user", "{other}")],
    "twice, both spellings": [("X_Remote_User", "{other}"), ("X-REMOTE-USER", "{other}")],
    "empty": [("X-Remote-User", "")],
    "connection": [("Connection", "X-Remote-User")],
    "connection and value": [("Connection", "keep-alive, X-Remote-User"), ("X-Remote-User", "{other}")],
    "connection, underscores": [("Connection", "X_Remote_User"), ("X_Remote_User", "{other}")],
}


def who_am_i(connection, headers):
    """The status, and whom Radicale takes the client for."""
    connection.putrequest("PROPFIND", "/")
    for name, value in [*headers, ("Depth", "0"), ("Content-Length", str(len(PRINCIPAL)))]:
        connection.putheader(name, value)
    connection.endheaders(PRINCIPAL.encode())
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    before, _, after = body.partition("current-user-principal>")
    _, _, after = after.partition("href>")
    return answer.status, after.partition("<")[0].strip("/") or None


def through(gateway):
    trust = ssl.create_default_context(cafile=gateway.authority)
    return http.client.HTTPSConnection("localhost", gateway.port, context=trust, timeout=30)


def client(gateway, cookie):
    return caldav.DAVClient(
        url=f"{gateway.origin}/", headers={"Cookie": cookie}, ssl_verify_cert=str(gateway.authority)
    )


def test_radicale_alone_believes_what_a_client_says(radicale):
    """What the other tests rest on: without the gateway these headers do change who one is."""
    for name in ("X-Remote-User", "X_Remote_User"):
        connection = http.client.HTTPConnection("127.0.0.1", radicale.port, timeout=30)
        assert who_am_i(connection, [(name, "mallory")]) == (207, "mallory")


def test_each_sees_their_own_calendars(gateway, people):
    for username, cookie in people.items():
        calendar = client(gateway, cookie).principal().make_calendar(name=f"Calendar of {username}")
        calendar.add_event(
            dtstart=datetime(2026, 5, 4, 9, tzinfo=timezone.utc),
            dtend=datetime(2026, 5, 4, 10, tzinfo=timezone.utc),
            summary=f"Meeting of {username}",
        )
    for username, cookie in people.items():
        (calendar,) = client(gateway, cookie).principal().calendars()
        assert f"/{username}/" in str(calendar.url)
        (event,) = calendar.events()
        assert f"SUMMARY:Meeting of {username}" in event.data


def test_an_event_is_moved(gateway, people):
    (alice, cookie), (bob, _) = people.items()
    calendars = [client(gateway, cookie).principal().make_calendar(name=f"Move {name}") for name in ("from", "to")]
    event = calendars[0].add_event(
        dtstart=datetime(2026, 5, 5, 9, tzinfo=timezone.utc),
        dtend=datetime(2026, 5, 5, 10, tzinfo=timezone.utc),
        summary="Moved",
    )
    for destination, status in (
        (f"{gateway.origin}/{bob}/moved.ics", 403),
        (f"{calendars[1].url}moved.ics", 201),
    ):
        headers = {"Cookie": cookie, "Destination": str(destination), "Overwrite": "F"}
        answer = requests.request(
            "MOVE", str(event.url), headers=headers, verify=gateway.authority, timeout=30
        )
        assert answer.status_code == status, answer.text
    assert [len(calendar.events()) for calendar in calendars] == [0, 1]


def test_a_client_that_knows_no_cookies_uses_an_access_key(gateway, keys):
    def by_key(access_key, secret_key):
        return caldav.DAVClient(
            url=f"{gateway.origin}/",
            username=access_key,
            password=secret_key,
            ssl_verify_cert=str(gateway.authority),
        )

    for username, (access_key, secret_key) in keys.items():
        principal = by_key(access_key, secret_key).principal()
        calendar = principal.make_calendar(name="By key")
        assert f"/{username}/" in str(calendar.url)
        assert "By key" in [calendar.get_display_name() for calendar in principal.calendars()]
        with pytest.raises(caldav.lib.error.AuthorizationError):
            by_key(access_key, "x" * len(secret_key)).principal()


def test_nobody_reads_the_calendars_of_another(gateway, people):
    (alice, cookie), (bob, _) = people.items()
    headers = {"Cookie": cookie, "Depth": "1"}
    for owner, status in ((alice, 207), (bob, 403)):
        answer = requests.request(
            "PROPFIND", f"{gateway.origin}/{owner}/", headers=headers, verify=gateway.authority, timeout=30
        )
        assert answer.status_code == status, answer.text


@pytest.mark.parametrize("pretence", PRETENCES)
def test_a_pretence_changes_nothing(gateway, people, pretence):
    (alice, cookie), (bob, _) = people.items()
    headers = [(name, value.format(other=bob)) for name, value in PRETENCES[pretence]]
    assert who_am_i(through(gateway), [("Cookie", cookie), *headers]) == (207, alice)


@pytest.mark.parametrize("pretence", PRETENCES)
def test_a_pretence_does_not_let_in(gateway, people, pretence):
    (_, _), (bob, _) = people.items()
    headers = [(name, value.format(other=bob)) for name, value in PRETENCES[pretence]]
    assert who_am_i(through(gateway), headers) == (401, None)


def test_signed_out_is_signed_out(gateway):
    username = f"carol{gateway.port}"
    cookie = gateway.sign_up(username)
    assert who_am_i(through(gateway), [("Cookie", cookie)]) == (207, username)
    answer = requests.post(
        f"{gateway.origin}/.auth/logout",
        headers={"Cookie": cookie, "Accept": "application/json"},
        verify=gateway.authority,
        timeout=30,
    )
    assert answer.status_code == 204, answer.text
    assert who_am_i(through(gateway), [("Cookie", cookie)]) == (401, None)
