"""How often and when Airflow tries a task again: what model/taxonomy.py says of the kind, within the tier's retries."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import RetryDecision, RetryPolicy

from tenantdags.model.errors import RunError
from tenantdags.model.taxonomy import kind_of

if TYPE_CHECKING:
    from airflow.sdk import Context


class ByKind(RetryPolicy):
    """Asked by the worker when a task fails. Errors that no try can mend never come here: they fail at once."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        error = exception if isinstance(exception, RunError) else exception.__cause__
        word = error.kind if isinstance(error, RunError) else "internal"
        task: Any = context["task"] if context else None
        retries, unit = (task.retries, task.retry_delay) if task else (max_tries, timedelta(minutes=5))
        # clearing a task raises max_tries and goes on counting tries; the retries begin anew
        retry = retries - (max_tries - try_number)
        policy = kind_of(word).retry
        if policy is None or not policy.allows(retry):
            return RetryDecision.fail(f"{word}: not tried again")
        wait = policy.wait(retry, unit)
        return RetryDecision.retry(wait, f"{word}: retry {retry} of {policy.most(retries)} after {wait}")
