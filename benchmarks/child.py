"""Runs one contender in this process and prints its cost: `python -m benchmarks.child module:function '{"rows": 1}'`.

A contender is a function that takes the JSON's keys, prepares everything (imports, connection definitions) and returns
the work as a function of no arguments. Preparing is not timed; what it leaves in memory is the idle size. The work
tells what it did, which must be the same in every round, and under "numbers" what it measured itself.
"""

import ctypes
import gc
import importlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Work = Callable[[], dict[str, Any]]


def memory(field: str) -> int:
    """VmRSS (now) or VmHWM (high-water mark) of this process in bytes, as proc(5) counts them."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def reset_high_water_mark() -> None:
    """Writing 5 to clear_refs sets VmHWM back to VmRSS (proc(5)), so the imports' peak is not charged to the work."""
    Path("/proc/self/clear_refs").write_text("5")


def cpu_seconds() -> float:
    """User plus system time of this process and of the children it has waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def settle() -> None:
    """Hand memory the imports have freed back to the system, so that idle is what the process really keeps."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def run(work: Work) -> dict[str, Any]:
    settle()
    peak_before = memory("VmHWM")
    reset_high_water_mark()
    idle, cpu, clock = memory("VmRSS"), cpu_seconds(), time.perf_counter()
    result = work()
    numbers = result.pop("numbers", {})
    return {
        "seconds": time.perf_counter() - clock,
        "cpu_seconds": cpu_seconds() - cpu,
        "idle_bytes": idle,
        "work_peak_bytes": memory("VmHWM"),
        "peak_bytes": max(peak_before, memory("VmHWM")),
        "result": result,
        "numbers": numbers,
    }


def main(contender: str, arguments: str) -> None:
    module, _, function = contender.partition(":")
    work: Work = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    print(json.dumps(run(work)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
