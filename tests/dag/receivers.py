"""What a service at the other end of a notifier gets: HTTP, HTTPS behind a proxy, and mail, on loopback."""

from __future__ import annotations

import json
import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Answer = tuple[int, bytes]
OK: Answer = (200, b"ok")


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """Keeps every request; `answer` decides what it says. b"" as an answer's status 0 sends the bytes as they are."""

    answer: Answer = OK
    hang: threading.Event | None = None
    requests: list[Request] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def http(receiver: Receiver, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def _take(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            receiver.requests.append(Request(self.command, self.path, dict(self.headers.items()), body))
            if receiver.hang:
                receiver.hang.wait(60)
            status, said = receiver.answer
            if not status:
                self.wfile.write(said)
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_POST = do_PUT = do_GET = _take

        def log_message(self, *_: Any) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_address[1]
    with _serving(server):
        yield receiver


@contextmanager
def proxy_to(port: int) -> Iterator[str]:
    """An HTTPS proxy that takes every tunnel to one port here, whatever host it was asked for."""

    class Tunnel(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with socket.create_connection(("127.0.0.1", port)) as other:
                _pump(self.connection, other)

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tunnel)
    server.daemon_threads = True
    with _serving(server):
        yield f"http://127.0.0.1:{server.server_address[1]}"


@contextmanager
def smtp(mails: list[EmailMessage]) -> Iterator[int]:
    """A mail server without TLS or login. The port."""

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline():
                self.wfile.write(self._answer(line.strip().upper()))
                if line.upper().startswith(b"QUIT"):
                    return

        def _answer(self, line: bytes) -> bytes:
            if line.startswith(b"DATA"):
                self.wfile.write(b"354 go on\r\n")
                lines: list[bytes] = []
                while (text := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(text.removeprefix(b"."))
                mails.append(message_from_bytes(b"".join(lines), policy=policy.default))
            return b"221 bye\r\n" if line.startswith(b"QUIT") else b"250 ok\r\n"

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
    server.daemon_threads = True
    with _serving(server):
        yield server.server_address[1]


def certificate(folder: Path, host: str) -> tuple[Path, ssl.SSLContext]:
    """(the file a client trusts, the context of a server that is `host`)."""
    from sandbox.sqlserver.certificate import made

    pem = folder / "service.pem"
    pem.write_bytes(made(host))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return pem, server


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def _pump(one: socket.socket, other: socket.socket) -> None:
    ways: dict[socket.socket, Callable[[bytes], None]] = {one: other.sendall, other: one.sendall}
    while True:
        for ready in select.select(list(ways), [], [])[0]:
            data = ready.recv(65536)
            if not data:
                return
            ways[ready](data)
