"""A JobManager behind TLS: an authority of one's own, and a server that asks who we are."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import streampark as sp
import trustme


class Overview(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"taskmanagers": 1, "flink-version": "2.3.0"}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A refused handshake is what some tests want."""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def address(authority: trustme.CA) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    authority.configure_trust(context)  # pyright: ignore[reportUnknownMemberType]
    context.verify_mode = ssl.CERT_REQUIRED
    server = Server(("localhost", 0), Overview)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://localhost:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_client_certificate_opens_the_door(authority: trustme.CA, address: str, tmp_path: Path) -> None:
    client = authority.issue_cert("ann@acme.com")
    chain = b"".join(blob.bytes() for blob in client.cert_chain_pems)
    key = tmp_path / "client.key"
    client.private_key_pem.write_to_path(str(key))
    cluster = sp.StandaloneCluster(
        address, tls_ca=authority.cert_pem.bytes(), tls_certificate=chain, tls_key=key, timeout="10 s"
    )
    assert cluster.rest.overview().flink_version == "2.3.0"


def test_without_one_it_stays_shut(authority: trustme.CA, address: str) -> None:
    with pytest.raises(sp.StreamParkError) as caught:
        sp.flink.RestClient(address, tls_ca=authority.cert_pem.bytes(), timeout="10 s").overview()
    assert caught.value.kind == "unreachable"


def test_a_stranger_is_not_trusted(address: str) -> None:
    with pytest.raises(sp.UnreachableError) as caught:
        sp.flink.RestClient(address, timeout="10 s").overview()
    causes = [str(caught.value)]
    cause = caught.value.__cause__
    while cause is not None:
        causes.append(str(cause))
        cause = cause.__cause__
    assert "certificate" in " ".join(causes).lower()
