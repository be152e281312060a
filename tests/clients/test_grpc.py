"""A client on BoringSSL, which refuses an address in a certificate from an authority that is constrained to addresses."""

import grpc
import pytest


def shake_hands(gateway, patience, options=()):
    credentials = grpc.ssl_channel_credentials(gateway.authority.read_bytes())
    with grpc.secure_channel(f"localhost:{gateway.port}", credentials, options=list(options)) as channel:
        grpc.channel_ready_future(channel).result(timeout=patience)


def test_grpc_believes_the_local_authority(gateway):
    shake_hands(gateway, patience=20)


def test_grpc_still_looks_at_the_name(gateway):
    with pytest.raises(grpc.FutureTimeoutError):
        shake_hands(gateway, patience=3, options=[("grpc.ssl_target_name_override", "bank.example")])
