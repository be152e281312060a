"""A gRPC service: calls, streams both ways and trailers pass, and refusals are statuses that its clients understand."""

import queue
import sys

import grpc
import pytest

from conftest import SERVERS, gateway_with, start


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    process, port = start(
        "service",
        lambda port, folder: [sys.executable, SERVERS / "grpc_service.py", str(port)],
        tmp_path_factory.mktemp("service"),
    )
    yield process, port
    process.stop()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, service):
    _, port = service
    front = gateway_with(
        tmp_path_factory.mktemp("gateway"),
        f"""
[upstream.service]
servers = ["h2c://127.0.0.1:{port}"]

[[route]]
path = "/demo.Echo"
upstream = "service"

[[route]]
path = "/demo.Admin"
allow = {{ groups = ["ops"] }}
upstream = "service"

[[route]]
path = "/demo.Gone"
upstream = "h2c://127.0.0.1:9"
""",
    )
    yield front
    front.process.stop()


@pytest.fixture(scope="module")
def channel(gateway):
    trust = grpc.ssl_channel_credentials(gateway.authority.read_bytes())
    with grpc.secure_channel(f"localhost:{gateway.port}", trust) as channel:
        yield channel


@pytest.fixture(scope="module")
def signed_in(gateway):
    return (("cookie", gateway.sign_up("ann")),)


def refused(channel, method, metadata=()):
    with pytest.raises(grpc.RpcError) as error:
        channel.unary_unary(method)(b"x", metadata=metadata, timeout=30)
    return error.value.code(), error.value.details()


def test_a_call_arrives_with_who_made_it_and_its_trailers_return(channel, signed_in):
    answer, call = channel.unary_unary("/demo.Echo/Unary").with_call(b"hello", metadata=signed_in, timeout=30)
    assert answer == b"ann: hello"
    assert dict(call.trailing_metadata())["x-end"] == "reached"


def test_a_stream_goes_both_ways_at_once(channel, signed_in):
    sent = queue.Queue()
    answers = channel.stream_stream("/demo.Echo/Chat")(iter(sent.get, None), metadata=signed_in, timeout=30)
    for number in range(100):
        sent.put(b"m")
        assert next(answers) == f"{number} m".encode()
    sent.put(None)
    assert list(answers) == [] and answers.code() == grpc.StatusCode.OK


def test_a_status_of_the_service_passes(channel, signed_in):
    status = refused(channel, "/demo.Echo/Absent", signed_in)
    assert status == (grpc.StatusCode.NOT_FOUND, "no such thing: 없음")


def test_refusals_are_statuses(channel, signed_in):
    for method, metadata, code, said in [
        ("/demo.Echo/Unary", (), grpc.StatusCode.UNAUTHENTICATED, "sign in"),
        ("/demo.Echo/Unary", (("cookie", "__Host-vestibule=forged"),), grpc.StatusCode.UNAUTHENTICATED, "sign in"),
        ("/demo.Admin/Unary", signed_in, grpc.StatusCode.PERMISSION_DENIED, "do not have access"),
        ("/demo.Other/Unary", signed_in, grpc.StatusCode.UNIMPLEMENTED, "nothing at this address"),
        ("/demo.Gone/Unary", signed_in, grpc.StatusCode.UNAVAILABLE, "does not answer"),
    ]:
        status, details = refused(channel, method, metadata)
        assert status == code and said in details, (method, status, details)
