"""Configuration files of a git revision, read out of git's store: the work tree is neither touched nor needed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

FOLDERS = ("config", "include/contracts")
_LINK = "120000"
_FILES = ("100644", "100755")


class RevisionError(Exception):
    """git has no such revision, or its files cannot be read; the text says what to do."""


@contextmanager
def revision_folder(root: Path, revision: str) -> Iterator[Path]:
    """A temporary folder with config/ and include/contracts of `revision`. Raises RevisionError."""
    with TemporaryDirectory(prefix="tenantdags-") as folder:
        for name, content in _contents(root, revision):
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        yield Path(folder)


def forked_from(root: Path, revision: str) -> tuple[str, str]:
    """The commit to compare with, and its name for people: where the checked-out branch left `revision`.

    Compared with the revision's tip, what others merged meanwhile would look as if this branch took it back.
    """
    tip = _commit(root, revision)
    done = _git(root, "merge-base", tip, "HEAD")
    if done.returncode:
        return tip, f"{revision} ({tip[:7]}, which shares no history with HEAD)"
    base = done.stdout.decode().strip()
    return base, f"{revision} ({base[:7]}{'' if base == tip else ', where this branch left it'})"


def _commit(root: Path, revision: str) -> str:
    done = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip().splitlines()
        said = f" ({why[0]})" if why else ""
        raise RevisionError(
            f"{revision!r} is neither a folder nor a git revision{said}; name one of both, and fetch it first if it is "
            "another repository's"
        )
    return done.stdout.decode().strip()


def _contents(root: Path, commit: str) -> Iterator[tuple[str, bytes]]:
    found = dict(_blobs(root, commit))
    asked = "".join(f"{blob}\n" for blob in found.values())
    done = _git(root, "cat-file", "--batch", stdin=asked.encode())
    if done.returncode:
        raise RevisionError(f"git cannot read {commit[:7]}: {done.stderr.decode(errors='replace').strip()}")
    at = 0
    for name, blob in found.items():
        end = done.stdout.index(b"\n", at)
        head = done.stdout[at:end].decode().split()
        if len(head) != 3:  # a shallow or partial clone lacks the content
            raise RevisionError(f"git lacks {name} of {commit[:7]} ({blob[:7]}); fetch the revision whole")
        at = end + 1 + int(head[2]) + 1
        yield name, done.stdout[end + 1 : at - 1]


def _blobs(root: Path, commit: str) -> Iterator[tuple[str, str]]:
    """(path, object) of every configuration file; paths are relative to the project, also below a repository's root."""
    done = _git(root, "ls-tree", "-r", "-z", commit, *FOLDERS)
    if done.returncode:
        raise RevisionError(f"git cannot list {commit[:7]}: {done.stderr.decode(errors='replace').strip()}")
    for line in done.stdout.decode(errors="surrogateescape").split("\0"):
        if line:
            facts, _, name = line.partition("\t")
            mode, _, blob = facts.split()
            if mode == _LINK:
                raise RevisionError(f"{name} of {commit[:7]} is a symbolic link; configuration files are plain files")
            if mode in _FILES:
                yield name, blob


def _git(root: Path, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = ["git", "-C", str(root), *words]
    try:
        return subprocess.run(command, input=stdin, capture_output=True, check=False)
    except FileNotFoundError:
        raise RevisionError("git is not installed; compare with a folder instead") from None
