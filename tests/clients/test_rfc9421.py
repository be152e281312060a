"""HTTP Message Signatures by the package http-message-signatures."""

import base64
import datetime
import hashlib

import pytest
import requests
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms

from conftest import assert_passed, assert_refused

BODY = b'{"name":"plan"}'
COVERED = ("@method", "@authority", "@path", "@query", "content-digest")


class Secret(HTTPSignatureKeyResolver):
    def __init__(self, secret):
        self.secret = secret.encode()

    def resolve_private_key(self, key_id):
        return self.secret

    def resolve_public_key(self, key_id):
        return self.secret


def signed(key, request, secret=None, covered=COVERED, created=None):
    prepared = request.prepare()
    digest = base64.b64encode(hashlib.sha256(prepared.body or b"").digest()).decode()
    prepared.headers["Content-Digest"] = f"sha-256=:{digest}:"
    signer = HTTPMessageSigner(
        signature_algorithm=algorithms.HMAC_SHA256, key_resolver=Secret(secret or key.secret_key)
    )
    created = created or datetime.datetime.now(datetime.timezone.utc)
    signer.sign(prepared, key_id=key.access_key, covered_component_ids=covered, created=created, use_existing_digest=True)
    return prepared


@pytest.fixture
def deliver(gateway):
    def deliver(prepared):
        with requests.Session() as session:
            return session.send(prepared, verify=str(gateway.authority), timeout=30)

    return deliver


@pytest.mark.parametrize("method, body", [("GET", None), ("POST", BODY)])
def test_signed(gateway, key, deliver, method, body):
    request = requests.Request(method, f"{gateway.origin}/things?b=2&a=1", data=body)
    assert_passed(deliver(signed(key, request)), key, body or b"")


def test_refused(gateway, key, deliver):
    request = requests.Request("POST", f"{gateway.origin}/things?a=1", data=BODY)
    assert_refused(deliver(signed(key, request, secret="x" * 40)))
    changed = signed(key, request)
    changed.body = BODY.replace(b"plan", b"flan")
    assert deliver(changed).status_code in (400, 401)
    elsewhere = signed(key, request)
    elsewhere.url = f"{gateway.origin}/others?a=1"
    assert_refused(deliver(elsewhere))
    old = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=6)
    assert_refused(deliver(signed(key, request, created=old)), "clock-skew")
