"""Small pieces of work whose cost is known, for the tests of the measuring itself."""

import subprocess
import sys
import time
from typing import Any

from benchmarks.child import Work, cpu_seconds


def burn(seconds: float) -> Work:
    def work() -> dict[str, Any]:
        end = cpu_seconds() + seconds
        while cpu_seconds() < end:
            pass
        return {"burnt": seconds}

    return work


def burn_in_child(seconds: float) -> Work:
    code = f"import time\nwhile time.process_time() < {seconds}: pass"

    def work() -> dict[str, Any]:
        subprocess.run([sys.executable, "-c", code], check=True)
        return {}

    return work


def sleep(seconds: float) -> Work:
    def work() -> dict[str, Any]:
        time.sleep(seconds)
        return {}

    return work


def hold(mib: int) -> Work:
    kept = b"x" * (20 * 1024 * 1024)

    def work() -> dict[str, Any]:
        return {"length": len(b"y" * (mib * 1024 * 1024)) + len(kept)}

    return work


def spike_then_idle(mib: int) -> Work:
    len(b"z" * (mib * 1024 * 1024))
    return dict


def fail() -> Work:
    raise ValueError("the table bench.dbo.Bench12 is missing")
