"""Mails through a mail server that people run: Postfix takes them, and puts them into a mailbox."""

import os

import pytest
import requests

from postfix import Postfix
from processes import PASSWORD

NEW = "other-Harbour_43"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="Postfix starts as root alone, and drops its rights then")


@pytest.fixture
def postfix():
    """Makes mail servers."""
    servers = []

    def make(**settings):
        servers.append(Postfix(**settings))
        return servers[-1]

    yield make
    for server in servers:
        server.remove()


# What a mail server says of 8BITMIME is what decides how letters travel that ASCII lacks.
@pytest.mark.parametrize("bits", ["8bit", "7bit"])
@pytest.mark.parametrize("language", ["en", "ko"])
def test_verification_reset_and_notices_reach_the_mailbox_with_their_links_whole(bits, language, postfix, gateway):
    server = postfix(**({"smtpd_discard_ehlo_keywords": "8bitmime"} if bits == "7bit" else {})).start()
    vestibule = gateway(f"smtp://127.0.0.1:{server.port}")
    asks = {"Accept-Language": language}
    ann = vestibule.sign_up("ann", **asks)
    (mail,) = server.mails_to(ann)
    assert mail.message["From"] == "Harbour <no-reply@harbour.example>" and mail.message["To"] == ann
    assert ("확인" in mail.text) == (language == "ko"), mail.text
    link = f"{vestibule.origin}/.auth/verify?token={mail.token('verify')}"
    page = requests.get(link, verify=vestibule.authority, timeout=30)
    assert page.ok and vestibule.sign_in(ann) == 401, "looking uses nothing up"
    assert vestibule.post("verify", token=mail.token("verify")).json() == {"next": "login"}
    assert vestibule.sign_in(ann) == 200

    assert vestibule.post("forgot", headers=asks, email=ann).status_code == 202
    reset = server.mails_to(ann, 2)[1]
    fields = {"token": reset.token("reset"), "password": NEW, "password_confirm": NEW}
    assert vestibule.post("reset", **fields).json() == {"next": "login"}
    assert (vestibule.sign_in(ann), vestibule.sign_in(ann, NEW)) == (401, 200)
    notice = server.mails_to(ann, 3)[2]
    assert f"{vestibule.origin}/.auth/forgot" in notice.text and "token=" not in notice.text

    # Nobody on the way had to write a line anew: none is longer than is allowed (RFC 5322, section 2.1.1), and
    # none has what the next server may not take (RFC 2045, section 2.7).
    for mail in (mail, reset, notice):
        assert max(map(len, mail.raw.splitlines())) <= 998
        assert bits == "8bit" or mail.raw.isascii()
    if language == "en":
        assert link.encode() in server.mails[0].raw, "whole in the file, too"


def test_starttls_with_a_certificate_that_is_checked(postfix, gateway, certificates):
    server = postfix(
        smtpd_tls_chain_files=certificates.key, smtpd_tls_security_level="encrypt", smtpd_tls_received_header="yes"
    ).start()
    vestibule = gateway(f"smtp://localhost:{server.port}?tls=required", certificates.trusted)
    (mail,) = server.mails_to(vestibule.sign_up("ann"))
    assert mail.encrypted, mail.raw


def test_whom_it_does_not_know_is_told_to_administrators_and_holds_up_nobody(postfix, gateway):
    server = postfix().start()
    vestibule = gateway(f"smtp://127.0.0.1:{server.port}")
    answer = vestibule.post(
        "signup", email="bob@elsewhere.example", username="bob", password=PASSWORD, password_confirm=PASSWORD
    )
    assert answer.status_code == 201
    server.mails_to(vestibule.sign_up("ann"))
    vestibule.await_line("a mail failed for good")
    assert "Relay access denied" in vestibule.said()


def test_while_it_is_away_nothing_is_lost_and_nothing_comes_twice(postfix, gateway):
    server = postfix().start()
    vestibule = gateway(f"smtp://127.0.0.1:{server.port}")
    server.mails_to(vestibule.sign_up("early"))
    server.stop()
    people = [vestibule.sign_up(f"user{number}") for number in range(10)]
    vestibule.await_line("mails cannot be sent")
    vestibule.kill()
    vestibule.start()
    server.start()
    for person in people:
        (mail,) = server.mails_to(person)
        assert vestibule.post("verify", token=mail.token("verify")).status_code == 200
    assert len(server.mails) == 11 and vestibule.metric("failed") == 0
