"""`python -m sandbox.oncall --run DIR`: takes Slack's webhook calls and keeps their texts, one JSON object per line."""

import argparse
import html
import json
import os
import signal
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any

from sandbox.oncall import messages_file
from sandbox.services import write_private


def handler(file: Path) -> type[BaseHTTPRequestHandler]:
    one_at_a_time = threading.Lock()

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                text = html.unescape(json.loads(body)["text"])  # Slack shows &lt; as <
            except (ValueError, KeyError, TypeError):
                self._answer(400, b"invalid_payload")
                return
            line = json.dumps({"at": datetime.now(UTC).isoformat(), "text": text})
            with one_at_a_time, file.open("a", encoding="utf-8") as messages:
                messages.write(f"{line}\n")
            self._answer(200, b"ok")

        def _answer(self, status: int, words: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(words)))
            self.end_headers()
            self.wfile.write(words)

        def log_message(self, format: str, *args: Any) -> None:
            """Silent: the messages are the log."""

    return Webhook


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.oncall")
    parser.add_argument("--run", type=Path, required=True)
    run_dir = parser.parse_args().run.resolve()
    file = messages_file(run_dir)
    file.parent.mkdir(parents=True, exist_ok=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(file))

    def stop(number: int, frame: FrameType | None) -> None:
        threading.Thread(target=server.shutdown).start()  # it waits for the loop that this handler interrupts

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    write_private(run_dir / "oncall.json", json.dumps({"pid": os.getpid(), "port": server.server_address[1]}))
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
