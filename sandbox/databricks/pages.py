"""The page of a run: its state, its parameters and its log, for a person who followed run_page_url."""

import html
from datetime import UTC, datetime

from sandbox.databricks.runner import Runner
from sandbox.databricks.store import Run, Store

STYLE = "body{font:15px/1.5 sans-serif;margin:2rem;max-width:72rem}pre{background:#f4f4f4;padding:1rem}"


def run_page(store: Store, runner: Runner, run: Run) -> str:
    """The HTML of a submitted run, or of one of its tasks."""
    tasks = [run] if run.parent else store.tasks(run.run_id)
    body = "".join(_task(runner, task) for task in tasks)
    title = f"{html.escape(run.name)} · run {run.run_id}"
    return f"<!doctype html><title>{title}</title><style>{STYLE}</style><h1>{title}</h1><p>{_state(run)}</p>{body}"


def _task(runner: Runner, task: Run) -> str:
    notebook = task.spec["notebook_task"]
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td><code>{html.escape(value)}</code></td></tr>"
        for name, value in notebook.get("base_parameters", {}).items()
    )
    log_file = runner.log_file(task)
    log = log_file.read_text(encoding="utf-8", errors="replace") if log_file.exists() else ""
    exit_value = html.escape(str(task.output.get("result", "")))
    return (
        f"<h2>{html.escape(task.task_key)}: {html.escape(notebook['notebook_path'])}</h2><p>{_state(task)}</p>"
        f"<table>{rows}</table><h3>Exit value</h3><pre>{exit_value}</pre><h3>Log</h3><pre>{html.escape(log)}</pre>"
    )


def _state(run: Run) -> str:
    moment = datetime.fromtimestamp(run.submitted / 1000, UTC)
    words = " ".join(word for word in (run.life_cycle, run.result, run.message) if word)
    return html.escape(f"{words} · submitted {moment:%Y-%m-%d %H:%M:%S} UTC")
