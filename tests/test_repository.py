"""What may not be committed: one machine's paths, a registry's address, a key."""

import re

import pytest

from tests.repository import ROOT, text_of, tracked

MACHINE_PATH = re.compile(r"(?<![\w.$}~:-])/(?:root|work|home|Users|tmp)/[\w.]")
REGISTRY = re.compile(
    r"\bpypi\.org|pythonhosted\.org|registry\.(?:npmjs|yarnpkg)|--(?:extra-)?index-url|--find[-]links|\"resolved\":",
    re.IGNORECASE,
)
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
IMAGE_USER = "/home/" + "airflow"


def offences(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in tracked():
        for number, line in enumerate((text_of(path) or "").splitlines(), 1):
            if pattern.search(line.replace(IMAGE_USER, "")):
                found.append(f"{path}:{number}: {line.strip()[:120]}")
    return found


def test_no_file_names_a_machine_path():
    assert offences(MACHINE_PATH) == []


def test_no_file_names_a_registry():
    assert offences(REGISTRY) == []


def test_no_file_carries_a_private_key():
    assert offences(PRIVATE_KEY) == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (MACHINE_PATH, "see /" + "work/main/README"),
        (MACHINE_PATH, "file:///" + "tmp/staging"),
        (MACHINE_PATH, '"/' + 'root/.cache"'),
        (REGISTRY, "https://" + "pypi" + ".org/simple"),
        (REGISTRY, "--extra-" + "index-url x"),
        (REGISTRY, '"resolved"' + ': "https://x"'),
        (PRIVATE_KEY, "-----BEGIN " + "RSA PRIVATE KEY-----"),
    ],
)
def test_the_patterns_find_what_they_are_for(pattern, line):
    assert pattern.search(line)


@pytest.mark.parametrize("line", ["file:///var/tmp/tenantdags", "Workspace/tenantdags/load", "https://a.b/work/x"])
def test_harmless_lines_pass(line):
    assert not MACHINE_PATH.search(line)


def test_requirements_are_pinned():
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-bench.txt"):
        lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.lstrip().startswith("#")]
        assert lines
        assert [line for line in lines if not re.match(r"^[a-z0-9._-]+(\[[a-z0-9,._-]+\])?==\S+", line)] == []


def test_a_production_pin_is_the_same_for_developers():
    production, developers = (
        dict(line.split("==", 1) for line in (ROOT / name).read_text().splitlines() if re.match(r"^[a-z0-9].*==", line))
        for name in ("requirements.txt", "requirements-dev.txt")
    )

    assert {name: pin for name, pin in production.items() if developers.get(name) != pin} == {}
