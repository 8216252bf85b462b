"""What tests and the command line say to the ADLS stand-in."""

import json
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from sandbox.services import SandboxError, Service, read_json


class Adls:
    """The running Azurite of one run directory: its connection, its key and its faults."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = Path(run_dir).resolve()
        self.service = Service("adls", self.run_dir)

    @property
    def info(self) -> dict[str, Any]:
        """Ports and account: port (proxy), admin_port, azurite_port (no faults), account."""
        info = self.service.info()
        if not info:
            raise SandboxError("ADLS is down: run `python -m sandbox up`")
        return info

    @property
    def account(self) -> str:
        return str(self.info["account"])

    @property
    def key(self) -> str:
        return str(read_json(self.run_dir / "azurite" / "account.json")["key"])

    @property
    def url(self) -> str:
        """The blob endpoint behind which faults strike."""
        return f"http://127.0.0.1:{self.info['port']}/{self.account}"

    @property
    def direct_url(self) -> str:
        """The blob endpoint that no fault touches, for whoever looks on."""
        return f"http://127.0.0.1:{self.info['azurite_port']}/{self.account}"

    def connection(self) -> dict[str, Any]:
        """The Airflow connection adls_landing, in Airflow's JSON form."""
        return {"conn_type": "wasb", "login": self.account, "password": self.key, "host": self.url}

    def fault(self, kind: str, **how: Any) -> None:
        """Arm a fault of kind reset|stall|500|503|429|403; `how` gives the other fields of sandbox.faults.Fault."""
        self._admin("POST", {"kind": kind, **how})

    def faults(self) -> list[dict[str, Any]]:
        armed: list[dict[str, Any]] = self._admin("GET")
        return armed

    def clear_faults(self) -> None:
        self._admin("DELETE")

    def _admin(self, method: str, body: dict[str, Any] | None = None) -> Any:
        url = f"http://127.0.0.1:{self.info['admin_port']}/faults"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except HTTPError as error:
            raise SandboxError(f"ADLS: {error.read().decode()}") from error
