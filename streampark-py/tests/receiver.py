"""A webhook receiver that checks signatures as the Standard Webhooks specification says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import Self

KEY = bytes(range(24))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


class Receiver:
    """Listens on a free loopback port from the head of a ``with`` block to its end."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.verified: list[bool] = []
        self.ids: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.take({name.lower(): value for name, value in self.headers.items()}, body)
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/alerts"

    def take(self, headers: dict[str, str], body: bytes) -> None:
        signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
        expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        self.verified.append(hmac.compare_digest(headers.get("webhook-signature", ""), f"v1,{expected}"))
        self.ids.append(headers["webhook-id"])
        self.bodies.append(json.loads(body))

    def kinds(self) -> list[str]:
        """The kinds of the alerts told so far; a message told twice counts once."""
        first: dict[str, dict[str, Any]] = {}
        for id, body in zip(self.ids, self.bodies):  # noqa: A001
            first.setdefault(id, body)
        return [alert["kind"] for body in first.values() for alert in body["data"]["alerts"]]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
