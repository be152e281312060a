"""AWS Signature Version 4 by those who sign it elsewhere: botocore, requests-aws4auth, npm's aws4 and curl."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import requests
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.session import Session
from requests_aws4auth import AWS4Auth

from conftest import Answer, answered, assert_passed, assert_refused

HERE = Path(__file__).parent
BODY = '{"name":"계획"}'.encode()
PATHS = ["/things", "/a%20b/c~d", "/q?b=2&a=1&a=0&empty=&flag", "/%EA%B3%84%ED%9A%8D?x=%2F%20y"]
# Large in the full tier: an upload goes through and is never held.
UPLOAD = (1 << 30) if os.environ.get("VESTIBULE_FULL") == "1" else (64 << 20)


def signed(signer, key, method, url, body=None, secret=None, service="execute-api"):
    request = AWSRequest(method=method, url=url, data=body, headers={"X-Custom": "two   words"})
    signer(Credentials(key.access_key, secret or key.secret_key), service, "ap-northeast-2").add_auth(request)
    return request.prepare()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method, body", [("GET", None), ("POST", BODY), ("PUT", BODY), ("DELETE", None)])
def test_botocore_signs_the_header(gateway, key, send, path, method, body):
    request = signed(SigV4Auth, key, method, gateway.origin + path, body)
    answer = assert_passed(send(method, request.url, request.headers, body), key, body or b"")
    assert answer.said["target"] == path


@pytest.mark.parametrize("method, body", [("GET", None), ("PUT", BODY)])
def test_botocore_signs_as_for_s3(gateway, key, send, method, body):
    request = signed(S3SigV4Auth, key, method, f"{gateway.origin}/things/a%20b", body, service="s3")
    assert "X-Amz-Content-SHA256" in request.headers
    assert_passed(send(method, request.url, request.headers, body), key, body or b"")


def test_botocore_presigns(gateway, key, send):
    for signer, service, path in [
        (SigV4QueryAuth, "execute-api", "/things?x=1"),
        (S3SigV4QueryAuth, "s3", "/bucket/things?x=1"),
    ]:
        request = AWSRequest(method="GET", url=gateway.origin + path)
        signer(Credentials(key.access_key, key.secret_key), service, "eu-west-1", 300).add_auth(request)
        prepared = request.prepare()
        answer = assert_passed(send("GET", prepared.url, prepared.headers), key)
        assert answer.said["target"] == path


@pytest.mark.parametrize("signer", [SigV4Auth, S3SigV4Auth])
def test_botocore_is_refused(gateway, key, send, signer):
    url = f"{gateway.origin}/things"
    request = signed(signer, key, "POST", url, BODY, secret="x" * 40)
    assert_refused(send("POST", url, request.headers, BODY))
    request = signed(signer, key, "POST", url, BODY)
    changed = send("POST", url, request.headers, BODY.replace(b"name", b"game"))
    assert changed.status_code in (400, 401), changed.text
    assert_refused(send("POST", f"{url}/others", request.headers, BODY))
    assert_refused(send("PUT", url, request.headers, BODY))


@pytest.fixture
def s3(gateway, key):
    def client(secret=key.secret_key):
        return Session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=gateway.origin,
            verify=str(gateway.authority),
            aws_access_key_id=key.access_key,
            aws_secret_access_key=secret,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
        )

    return client


def test_an_upload_in_chunks_with_a_trailer(s3, key, tmp_path):
    file = tmp_path / "upload"
    with file.open("wb") as out:
        out.truncate(UPLOAD)
    with file.open("rb") as body:
        put = s3().put_object(Bucket="bucket", Key="large file", Body=body, ChecksumAlgorithm="SHA256")
    sent = put["ResponseMetadata"]["HTTPHeaders"]
    digest = subprocess.run(["sha256sum", file], capture_output=True, text=True, check=True).stdout.split()[0]
    assert sent["etag"] == f'"{digest}"'
    assert sent["x-seen-remote-user"] == key.username
    assert "aws-chunked" not in sent.get("x-seen-content-encoding", "")


def test_the_s3_client_is_refused_with_a_wrong_secret(s3):
    with pytest.raises(ClientError) as refused:
        s3(secret="x" * 40).put_object(Bucket="bucket", Key="small", Body=b"x")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 401


@pytest.mark.parametrize("service", ["execute-api", "s3"])
@pytest.mark.parametrize("method, body", [("GET", None), ("POST", BODY)])
def test_requests_aws4auth(gateway, key, service, method, body):
    def ask(secret):
        auth = AWS4Auth(key.access_key, secret, "us-east-1", service)
        url = f"{gateway.origin}/things/a%20b?b=2&a=1"
        return requests.request(method, url, data=body, auth=auth, verify=gateway.authority, timeout=30)

    assert_passed(ask(key.secret_key), key, body or b"")
    assert_refused(ask("x" * 40))


@pytest.mark.parametrize(
    "path, arguments, body",
    [
        ("/things", [], b""),
        ("/things?b=2&a=1", [], b""),
        ("/a%20b/c", ["-X", "DELETE"], b""),
        ("/things", ["-H", "Content-Type: application/json", "--data-binary", BODY.decode()], BODY),
    ],
)
def test_curl(gateway, key, path, arguments, body):
    def ask(secret):
        command = ["curl", "--silent", "--show-error", "--cacert", gateway.authority, "--max-time", "30"]
        command += ["--aws-sigv4", "aws:amz:us-east-1:execute-api", "--user", f"{key.access_key}:{secret}"]
        command += ["--write-out", "\n%{http_code}", *arguments, gateway.origin + path]
        text, _, status = subprocess.run(command, capture_output=True, text=True, check=True).stdout.rpartition("\n")
        return answered(status, text)

    assert_passed(ask(key.secret_key), key, body)
    assert_refused(ask("x" * 40))


@pytest.mark.parametrize(
    "service, method, body, presigned",
    [
        ("execute-api", "GET", "", False),
        ("execute-api", "POST", BODY.decode(), False),
        ("s3", "GET", "", False),
        ("s3", "PUT", BODY.decode(), False),
        ("s3", "GET", "", True),
    ],
)
def test_npm_aws4(gateway, key, service, method, body, presigned):
    def ask(secret):
        asked = {
            "port": gateway.port,
            "method": method,
            "path": f"{'/bucket' if presigned else '/things'}/a%20b?b=2&a=1",
            "service": service,
            "body": body,
            "presigned": presigned,
            "accessKeyId": key.access_key,
            "secretAccessKey": secret,
        }
        environment = {**os.environ, "NODE_EXTRA_CA_CERTS": str(gateway.authority)}
        command = ["node", HERE / "aws4.mjs", json.dumps(asked)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
        status, _, text = done.stdout.partition("\n")
        return answered(status, text)

    assert_passed(ask(key.secret_key), key, body.encode())
    assert_refused(ask("x" * 40))


def test_a_signature_does_not_serve_another_host(gateway, key, send):
    request = signed(SigV4Auth, key, "GET", f"https://elsewhere.example:{gateway.port}/things")
    assert_refused(send("GET", f"{gateway.origin}/things", request.headers))
    assert Answer(send("GET", gateway.origin + "/things", signed(SigV4Auth, key, "GET", gateway.origin + "/things").headers))
