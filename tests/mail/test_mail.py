"""Mails through a real mail server, as it is asked for in every form of mail.url, and while it is away."""

import os
import socket
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from processes import PASSWORD

FULL = os.environ.get("VESTIBULE_FULL") == "1"
NEW = "other-Harbour_43"

# The server that asks for a password without TLS is on loopback.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH")

# The password of the mail server, percent-encoded.
CREDENTIALS = "gateway:p%40ss%20word"


def test_a_newcomer_proves_the_address_and_sets_a_new_password(mail_server, gateway):
    server = mail_server().start()
    vestibule = gateway(f"smtp://127.0.0.1:{server.port}")
    ann = vestibule.sign_up("ann")
    assert vestibule.sign_in(ann) == 401
    (mail,) = server.mails_to(ann)
    assert mail.message["From"] == "Harbour <no-reply@harbour.example>"
    assert mail.message["To"] == ann
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert "127.0.0.1" in mail.text, "who asked"
    token = mail.token("verify")
    assert vestibule.post("verify", token=token).json() == {"next": "login"}
    assert vestibule.post("verify", token=token).status_code == 400
    assert vestibule.sign_in(ann) == 200

    assert vestibule.post("forgot", email=ann.upper()).status_code == 202
    token = server.mails_to(ann, 2)[1].token("reset")
    fields = {"token": token, "password": NEW, "password_confirm": NEW}
    assert vestibule.post("reset", **fields).json() == {"next": "login"}
    assert (vestibule.sign_in(ann), vestibule.sign_in(ann, NEW)) == (401, 200)
    assert "/.auth/forgot" in server.mails_to(ann, 3)[2].text, "what to do if it was somebody else"
    for link in (token, server.mails[0].token("verify")):
        assert link not in vestibule.said()


@pytest.mark.parametrize("form", ["starttls", "opportunistic", "smtps"])
def test_encrypted_and_signed_in(form, mail_server, gateway, certificates):
    options = {"auth_required": True, "auth_require_tls": form != "smtps"}
    if form == "smtps":
        server = mail_server(ssl_context=certificates.context, **options).start()
        url = f"smtps://{CREDENTIALS}@localhost:{server.port}"
    else:
        server = mail_server(tls_context=certificates.context, require_starttls=True, **options).start()
        tls = "required" if form == "starttls" else "opportunistic"
        url = f"smtp://{CREDENTIALS}@localhost:{server.port}?tls={tls}"
    vestibule = gateway(url, certificates.trusted)
    (mail,) = server.mails_to(vestibule.sign_up("ann"))
    assert (mail.encrypted or form == "smtps") and mail.signed_in
    assert "p@ss" not in vestibule.said() and "p%40ss" not in vestibule.said()


def test_the_doctor_says_whether_the_server_takes_what_the_configuration_says(
    mail_server, gateway, certificates
):
    server = mail_server(tls_context=certificates.context, require_starttls=True, auth_required=True).start()
    vestibule = gateway(f"smtp://{CREDENTIALS}@localhost:{server.port}?tls=required", certificates.trusted)
    status, found = vestibule.doctor()
    assert [verdict for verdict, _ in found] == ["ok"], found
    server.password = b"something else"
    status, found = vestibule.doctor()
    assert status == 1 and found[0][0] == "problem" and "user and password" in found[0][1], found
    server.stop()
    status, found = vestibule.doctor()
    assert status == 1 and found[0][0] == "problem", found


def test_nothing_is_sent_unencrypted_or_to_a_stranger_where_encryption_is_required(
    mail_server, gateway, certificates
):
    bare = mail_server().start()
    vestibule = gateway(f"smtp://{CREDENTIALS}@127.0.0.1:{bare.port}?tls=required")
    vestibule.sign_up("ann")
    vestibule.await_line("mails cannot be sent")
    vestibule.stop()
    stranger = mail_server(tls_context=certificates.context, require_starttls=True).start()
    (vestibule.folder / "mail-url").write_text(f"smtp://localhost:{stranger.port}?tls=required\n")
    vestibule.process.log.write_text("")
    vestibule.start()
    vestibule.await_line("mails cannot be sent")
    assert bare.mails == stranger.mails == []


def test_a_password_that_the_mail_server_refuses_stops_all_mails_and_loses_none(mail_server, gateway):
    server = mail_server(auth_required=True, auth_require_tls=False)
    server.password = b"something else"
    server.start()
    vestibule = gateway(f"smtp://{CREDENTIALS}@127.0.0.1:{server.port}")
    people = [vestibule.sign_up(name) for name in ("ann", "bob")]
    vestibule.await_line("mails cannot be sent")
    assert server.mails == []
    server.password = b"p@ss word"
    for person in people:
        server.mails_to(person)
    assert vestibule.metric("failed") == 0


def test_one_mail_that_is_refused_or_put_off_holds_up_no_other(mail_server, gateway):
    server = mail_server().start()
    server.answers = {
        "gone@example.com": "550 5.1.1 no such user",
        "grey@example.com": "451 4.7.1 greylisted",
    }
    vestibule = gateway(f"smtp://127.0.0.1:{server.port}")
    gone, grey, ann = (vestibule.sign_up(name) for name in ("gone", "grey", "ann"))
    server.mails_to(ann)
    assert (vestibule.metric("failed"), vestibule.metric("postponed")) == (1, 1)
    vestibule.await_line("a mail failed for good")
    assert "no such user" in vestibule.said()
    server.answers = {}
    if FULL:
        server.mails_to(grey)
    assert all(gone not in mail.to for mail in server.mails)


def test_nobody_waits_for_a_mail_server_that_does_not_answer(gateway):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        vestibule = gateway(f"smtp://127.0.0.1:{silent.getsockname()[1]}")
        took = []
        for number in range(10):
            began = time.monotonic()
            vestibule.sign_up(f"user{number}")
            took.append(time.monotonic() - began)
        # What is measured in real time is measured on a quiet machine.
        assert statistics.median(took) < (0.5 if FULL else 5), took


def test_while_the_mail_server_is_away_nothing_is_lost(mail_server, gateway):
    server = mail_server()
    vestibule = gateway(f"smtp://127.0.0.1:{server.port}")
    people = [vestibule.sign_up(f"user{number}") for number in range(10)]
    vestibule.await_line("mails cannot be sent")
    # And while it is away the gateway dies.
    vestibule.kill()
    vestibule.start()
    people.append(vestibule.sign_up("belated"))
    server.start()
    tokens = [server.mails_to(person)[0].token("verify") for person in people]
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda token: vestibule.post("verify", token=token).status_code, tokens)
        assert list(answers) == [200] * len(people)
    assert vestibule.sign_in(people[0], PASSWORD) == 200
    assert vestibule.metric("failed") == 0


def test_one_reset_link_twenty_at_once_serves_once(mail_server, gateway):
    server = mail_server().start()
    vestibule = gateway(f"smtp://127.0.0.1:{server.port}")
    ann = vestibule.sign_up("ann")
    vestibule.post("forgot", email=ann)
    token = server.mails_to(ann, 2)[1].token("reset")

    def reset(number):
        password = f"horizon-{number}-Harbour"
        fields = {"token": token, "password": password, "password_confirm": password}
        return vestibule.post("reset", **fields).status_code

    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(reset, range(20)))
    assert statuses.count(200) == 1 and statuses.count(400) == 19, statuses
    assert vestibule.sign_in(ann, f"horizon-{statuses.index(200)}-Harbour") == 200


def test_what_failed_for_good_is_sent_again_when_an_administrator_says_so(mail_server, gateway):
    server = mail_server().start()
    vestibule = gateway(f"smtp://127.0.0.1:{server.port}")
    root = vestibule.sign_up("root1")
    vestibule.post("verify", token=server.mails_to(root)[0].token("verify"))
    vestibule.command("user", "set-groups", root, "gateway-admin")
    signed_in = vestibule.post("login", login=root, password=PASSWORD)
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in signed_in.cookies.items())}

    server.answers = {"ann@example.com": "550 5.1.1 no such user"}
    ann = vestibule.sign_up("ann")
    vestibule.await_line("a mail failed for good")
    (failed,) = vestibule.ask("admin/mails", headers=cookie).json()["mails"]
    assert failed["failed"] and failed["to"] == ann and "no such user" in failed["reason"], failed
    assert vestibule.post("admin/mails", mail=failed["id"]).status_code == 401
    server.answers = {}
    fields = {"mail": failed["id"], "reason": "the mailbox is there now"}
    assert vestibule.post("admin/mails", headers=cookie, **fields).status_code == 204
    (mail,) = server.mails_to(ann)
    assert vestibule.post("verify", token=mail.token("verify")).status_code == 200
    assert vestibule.post("admin/mails", headers=cookie, **fields).status_code == 404, "it is gone"
    events = vestibule.command("audit", "--event", "mail-again")["events"]
    assert sorted(event["outcome"] for event in events) == ["failure", "success"], events
    assert {(event["by"], event["why"]) for event in events} == {(root, "the mailbox is there now")}
