"""The phone of whoever is on call: an incoming webhook as Slack has them, and what it was sent."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from sandbox.services import SandboxError, Service


class OnCall:
    """The running stand-in of one run directory: its connection and the messages it got."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = Path(run_dir).resolve()
        self.service = Service("oncall", self.run_dir)

    def connection(self) -> dict[str, Any]:
        """The Airflow connection slack_oncall, in Airflow's JSON form."""
        info = self.service.info()
        if not info:
            raise SandboxError("the on-call webhook is down: run `python -m sandbox up`")
        return {"conn_type": "slackwebhook", "host": f"http://127.0.0.1:{info['port']}", "password": "T0/B0/sandbox"}

    def messages(self) -> list[str]:
        """The texts it was sent, oldest first, as a person reads them."""
        return [text for _, text in self.received()]

    def received(self) -> list[tuple[datetime, str]]:
        """The same with when each came (UTC)."""
        file = messages_file(self.run_dir)
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        said = map(json.loads, lines)
        return [(datetime.fromisoformat(each["at"]), str(each["text"])) for each in said]


def messages_file(run_dir: Path) -> Path:
    return run_dir / "oncall" / "messages.jsonl"
