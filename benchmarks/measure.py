"""Runs contenders in processes of their own, in turns, and takes medians over the rounds."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parent.parent
MIB = 1024 * 1024
MB = 1_000_000


@dataclass(frozen=True)
class Measurement:
    """What one piece of work cost; sizes in bytes. It tells in `result` what it did, in `numbers` what it measured.

    A median keeps the `numbers` of all its rounds, in their order, in `rounds`.
    """

    seconds: float
    cpu_seconds: float
    idle_bytes: int
    work_peak_bytes: int
    peak_bytes: int
    result: Mapping[str, Any]
    numbers: Mapping[str, float] = field(default_factory=dict)
    rounds: Sequence[Mapping[str, float]] = field(default=(), compare=False)

    @property
    def above_idle_bytes(self) -> int:
        return max(0, self.work_peak_bytes - self.idle_bytes)


class ContenderError(RuntimeError):
    """A contender ended with an error; its last lines are the message."""


def measure(
    contender: str, timeout: float = 900, env: Mapping[str, str] | None = None, **arguments: Any
) -> Measurement:
    """Measure `module:function` in a new process. Raises ContenderError when it fails."""
    command = [sys.executable, "-m", "benchmarks.child", contender, json.dumps(arguments)]
    environment = os.environ | dict(env or {})
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )
    if done.returncode:
        raise ContenderError(f"{contender} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return Measurement(**json.loads(done.stdout.splitlines()[-1]))


def middle(measurements: Sequence[Measurement]) -> Measurement:
    """The median of every number. Results must agree: two rounds that did different work have no median."""
    results = [one.result for one in measurements]
    if any(result != results[0] for result in results):
        raise ContenderError(f"the rounds did not do the same work: {results}")
    return Measurement(
        seconds=median(one.seconds for one in measurements),
        cpu_seconds=median(one.cpu_seconds for one in measurements),
        idle_bytes=int(median(one.idle_bytes for one in measurements)),
        work_peak_bytes=int(median(one.work_peak_bytes for one in measurements)),
        peak_bytes=int(median(one.peak_bytes for one in measurements)),
        result=results[0],
        numbers={key: median(one.numbers[key] for one in measurements) for key in measurements[0].numbers},
        rounds=[one.numbers for one in measurements],
    )


def ratio(one: Measurement, other: Measurement, number: str) -> float:
    """The median of the rounds' ratios, for a machine's speed drifts; of the medians, when one had fewer rounds."""
    if len(one.rounds) != len(other.rounds) or not one.rounds:
        return one.numbers[number] / other.numbers[number]
    return median(a[number] / b[number] for a, b in zip(one.rounds, other.rounds, strict=True))


def interleave(
    contenders: Mapping[str, Mapping[str, Any]], rounds: int, once_above: float = float("inf")
) -> dict[str, Measurement]:
    """Medians by label. In each round every contender has one turn, so a slow minute of the machine hits all of them.

    `contenders` maps a label to the arguments of `measure`. Who took more than `once_above` seconds has one turn only.
    """
    seen: dict[str, list[Measurement]] = {label: [] for label in contenders}
    for number in range(1, rounds + 1):
        for label, arguments in contenders.items():
            if seen[label] and seen[label][0].seconds > once_above:
                continue
            one = measure(**arguments)
            seen[label].append(one)
            print(f"round {number} of {rounds}: {label}: {one.seconds:.1f} s, {one.cpu_seconds:.1f} CPU-s", flush=True)
    return {label: middle(measurements) for label, measurements in seen.items()}
