"""What the repository's own tests look at: the files git knows."""

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent


@cache
def tracked() -> tuple[Path, ...]:
    """Every committed or added file, relative to the root. A file deleted in the work tree is left out."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(Path(name) for name in listed.split("\0") if name and (ROOT / name).is_file())


def text_of(path: Path) -> str | None:
    """The file's text, or None for a binary file such as a screenshot. A bad tenant file need not be UTF-8."""
    content = (ROOT / path).read_bytes()
    return None if b"\0" in content else content.decode(errors="replace")
