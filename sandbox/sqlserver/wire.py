"""TDS packets on one socket, with TLS inside PRELOGIN packets as MS-TDS has it; says nothing of their meaning."""

import queue
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

BATCH: Final = 0x01
RPC: Final = 0x03
RESPONSE: Final = 0x04
ATTENTION: Final = 0x06
TRANSACTION: Final = 0x0E
LOGIN7: Final = 0x10
PRELOGIN: Final = 0x12
GONE: Final = 0x00  # our own: the client hung up

HEADER: Final = 8
LAST: Final = 0x01
RECORD: Final = 64 * 1024


class Hangup(Exception):
    """The socket is closed."""


class Cancelled(Exception):
    """The client sent an attention signal."""


class Channel:
    """One client's socket: whole messages in, packets out.

    After start_reading() a thread of its own reads, so that an attention signal is seen while rows are being sent.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls_lock = threading.Lock()
        self._plain = bytearray()
        self.messages: queue.Queue[tuple[int, bytes]] = queue.Queue()
        self.attention = threading.Event()
        self.packet_size = 4096
        self.interrupt: Callable[[], None] = lambda: None

    def _receive(self) -> None:
        try:
            data = self._sock.recv(RECORD)
        except OSError as error:
            raise Hangup from error
        if not data:
            raise Hangup
        if self._tls is None:
            self._plain += data
            return
        with self._tls_lock:
            self._incoming.write(data)
            self._drain_tls(self._tls)

    def _drain_tls(self, tls: ssl.SSLObject) -> None:
        while True:
            try:
                data = tls.read(RECORD)
            except ssl.SSLWantReadError:
                return
            except ssl.SSLZeroReturnError as error:
                raise Hangup from error
            if not data:
                raise Hangup
            self._plain += data

    def _take(self, count: int) -> bytes:
        while len(self._plain) < count:
            self._receive()
        taken = bytes(self._plain[:count])
        del self._plain[:count]
        return taken

    def read_packet(self) -> tuple[int, int, bytes]:
        """(type, status, payload) of the next packet; raises Hangup."""
        kind, status, length = struct.unpack(">BBH", self._take(HEADER)[:4])
        if length < HEADER:
            raise Hangup
        return kind, status, self._take(length - HEADER)

    def read_message(self) -> tuple[int, bytes]:
        kind, status, payload = self.read_packet()
        parts = [payload]
        while not status & LAST:
            _, status, payload = self.read_packet()
            parts.append(payload)
        return kind, b"".join(parts)

    def secure(self, context: ssl.SSLContext) -> None:
        """Do the server's side of a TLS handshake whose records travel in PRELOGIN packets."""
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        done = False
        while not done:
            try:
                tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            self._send_handshake()
            if not done:
                self._incoming.write(self.read_packet()[2])
        self._tls = tls

    def unsecure(self) -> None:
        """Go on in plain text: the client wanted nothing but its password encrypted."""
        self._tls = None

    def _send_handshake(self) -> None:
        records = self._outgoing.read()
        if records:
            self._sock.sendall(struct.pack(">BBHHBB", PRELOGIN, LAST, len(records) + HEADER, 0, 1, 0) + records)

    def start_reading(self) -> None:
        threading.Thread(target=self._read_forever, name="tds-reader", daemon=True).start()

    def _read_forever(self) -> None:
        try:
            while True:
                kind, payload = self.read_message()
                if kind == ATTENTION:
                    self.attention.set()
                    self.interrupt()
                self.messages.put((kind, payload))
        except (Hangup, OSError, ssl.SSLError):
            self.attention.set()
            self.interrupt()
            self.messages.put((GONE, b""))

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Send raw packets; raises Hangup."""
        try:
            if self._tls is None:
                self._sock.sendall(data)
                return
            with self._tls_lock:
                self._tls.write(data)
                records = self._outgoing.read()
            self._sock.sendall(records)
        except (OSError, ssl.SSLError) as error:
            raise Hangup from error

    def cut(self) -> None:
        """Drop the connection as a dead network does: a reset, no farewell."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            self._sock.close()  # the peer was faster
            return
        self._sock.close()


class Response:
    """One message to the client, cut into packets as it grows."""

    def __init__(self, channel: Channel, session: int, kind: int = RESPONSE) -> None:
        self._channel, self._session, self._kind = channel, session, kind
        self._buffer = bytearray()
        self._number = 1

    def write(self, data: bytes | npt.NDArray[np.uint8]) -> None:
        self._buffer += data.tobytes() if isinstance(data, np.ndarray) else data
        if len(self._buffer) >= RECORD:
            self.flush()

    def flush(self) -> None:
        """Send every full packet, but never the one that may turn out to be the last."""
        body = self._channel.packet_size - HEADER
        count = (len(self._buffer) - 1) // body
        if count < 1:
            return
        packets = np.empty((count, body + HEADER), dtype=np.uint8)
        packets[:, HEADER:] = np.frombuffer(bytes(self._buffer[: count * body]), dtype=np.uint8).reshape(count, body)
        packets[:, :HEADER] = np.frombuffer(self._header(body, 0), dtype=np.uint8)
        packets[:, 6] = (np.arange(count) + self._number) % 256
        self._number += count
        del self._buffer[: count * body]
        self._channel.send(packets.reshape(-1).data)

    def _header(self, length: int, status: int) -> bytes:
        head = struct.pack(">BBHH", self._kind, status, length + HEADER, self._session & 0xFFFF)
        return head + bytes([self._number % 256, 0])

    def finish(self) -> None:
        self.flush()
        self._channel.send(self._header(len(self._buffer), LAST) + self._buffer)
        self._buffer.clear()
