"""The HTTP front: bearer token, routes, error bodies as Databricks words them, and faults.

aiohttp rather than FastAPI: cutting a connection after a run was created needs the transport in hand.
"""

import asyncio
import dataclasses
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from sandbox.databricks.errors import ApiError, invalid
from sandbox.databricks.jobs import Jobs, workspace_status
from sandbox.databricks.pages import run_page
from sandbox.databricks.statements import Statements
from sandbox.faults import Faults, fault_of

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
KINDS = {
    "submit_fails": "runs/submit answers 500 and creates nothing",
    "after_commit": "runs/submit creates the run, then the connection is cut",
    "get_403": "runs/get answers 403",
    "get_500": "runs/get answers 500",
    "get_429": "runs/get answers 429",
    "get_stall": "runs/get answers after `seconds` (5)",
    "notebook_crash": "the notebook's process is killed at its start (when=after: at its end, its work being done)",
    "slow_run": "the notebook's process is stopped for `seconds` (5) at its start",
    "warehouse_stopped": "a statement stays PENDING for `seconds` (5) while the warehouse starts",
    "sql_500": "a statement's POST answers 500 and runs nothing",
    "sql_after_commit": "a statement is carried out, then the connection is cut",
}
GET_KINDS = {"get_403": 403, "get_500": 500, "get_429": 429}
MESSAGES = {
    403: ("PERMISSION_DENIED", "Sandbox fault: you are not authorized to access this run."),
    429: ("REQUEST_LIMIT_EXCEEDED", "Sandbox fault: too many requests."),
    500: ("INTERNAL_ERROR", "Sandbox fault: internal error."),
}


class Api:
    """All routes over the jobs and the statements."""

    def __init__(self, token: str, jobs: Jobs, statements: Statements, faults: Faults) -> None:
        self.token, self.jobs, self.statements, self.faults = token, jobs, statements, faults

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard], client_max_size=32 * 1024 * 1024)
        runs, sql = "/api/2.2/jobs/runs", "/api/2.0/sql/statements"
        routes: list[tuple[str, str, Handler]] = [
            ("POST", f"{runs}/submit", self._submit),
            ("GET", f"{runs}/get", self._get_run),
            ("GET", f"{runs}/get-output", self._plain(self.jobs.get_output)),
            ("POST", f"{runs}/cancel", self._plain(self.jobs.cancel)),
            ("POST", f"{runs}/delete", self._plain(self.jobs.delete)),
            ("GET", f"{runs}/list", self._plain(self.jobs.list_runs)),
            ("GET", "/api/2.0/workspace/get-status", self._plain(workspace_status)),
            ("POST", sql, self._post_statement),
            ("GET", sql + "/{id}", self._get_statement),
            ("GET", sql + "/{id}/result/chunks/{index}", self._get_chunk),
            ("POST", sql + "/{id}/cancel", self._cancel_statement),
            ("GET", "/runs/{id}", self._page),
            ("GET", "/sandbox/faults", self._list_faults),
            ("POST", "/sandbox/faults", self._add_fault),
            ("DELETE", "/sandbox/faults", self._clear_faults),
        ]
        for method, path, handler in routes:
            app.router.add_route(method, path, handler)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Check the token and give every failure the body that Databricks gives it."""
        try:
            if not request.path.startswith("/runs/"):
                self._authenticate(request)
            return await handler(request)
        except ApiError as error:
            return failure(error.status, error.error_code, error.message)
        except web.HTTPNotFound:
            message = f"No API found for '{request.method} {request.path}'"
            return failure(404, "ENDPOINT_NOT_FOUND", message)
        except web.HTTPMethodNotAllowed:
            return failure(404, "ENDPOINT_NOT_FOUND", f"No API found for '{request.method} {request.path}'")

    def _authenticate(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            raise ApiError(401, "401", "Credential was not sent or was of an unsupported type for this API.")
        if not hmac.compare_digest(token, self.token):
            raise ApiError(403, "403", "Invalid access token.")

    def _plain(self, action: Callable[[dict[str, Any]], dict[str, Any]]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return web.json_response(action(await arguments(request)))

        return handle

    async def _submit(self, request: web.Request) -> web.StreamResponse:
        body = await arguments(request)
        fault = self.faults.take("", json.dumps(body), ("submit_fails", "after_commit"))
        if fault is not None and fault.kind == "submit_fails":
            return failure(500, *MESSAGES[500])
        answer = self.jobs.submit(body)
        return cut(request) if fault is not None else web.json_response(answer)

    async def _get_run(self, request: web.Request) -> web.StreamResponse:
        query = await arguments(request)
        fault = self.faults.take("", request.path, (*GET_KINDS, "get_stall"))
        if fault is not None and fault.kind == "get_stall":
            await asyncio.sleep(fault.seconds or 5.0)
        elif fault is not None:
            status = GET_KINDS[fault.kind]
            return failure(status, *MESSAGES[status])
        return web.json_response(self.jobs.get(query))

    async def _post_statement(self, request: web.Request) -> web.StreamResponse:
        body = await arguments(request)
        text = str(body.get("statement", ""))
        fault = self.faults.take("", text, ("sql_500", "sql_after_commit", "warehouse_stopped"))
        if fault is not None and fault.kind == "sql_500":
            return failure(500, *MESSAGES[500])
        delay = (fault.seconds or 5.0) if fault is not None and fault.kind == "warehouse_stopped" else 0.0
        answer = await self.statements.submit(body, delay)
        lost = fault is not None and fault.kind == "sql_after_commit"
        return cut(request) if lost else web.json_response(answer)

    async def _get_statement(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self.statements.get(request.match_info["id"]))

    async def _get_chunk(self, request: web.Request) -> web.StreamResponse:
        index = request.match_info["index"]
        return web.json_response(self.statements.chunk(request.match_info["id"], int(index) if index.isdigit() else -1))

    async def _cancel_statement(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self.statements.cancel(request.match_info["id"]))

    async def _page(self, request: web.Request) -> web.StreamResponse:
        wanted = request.match_info["id"]
        run = self.jobs.store.get(int(wanted)) if wanted.isdigit() else None
        if run is None:
            return web.Response(status=404, text=f"There is no run {wanted}.")
        page = run_page(self.jobs.store, self.jobs.runner, run)
        return web.Response(text=page, content_type="text/html")

    async def _list_faults(self, _: web.Request) -> web.StreamResponse:
        return web.json_response([dataclasses.asdict(fault) for fault in self.faults.armed])

    async def _add_fault(self, request: web.Request) -> web.StreamResponse:
        try:
            self.faults.add(fault_of(await request.json(), KINDS))
        except ValueError as error:
            raise invalid(str(error)) from error
        return web.json_response({})

    async def _clear_faults(self, _: web.Request) -> web.StreamResponse:
        self.faults.clear()
        return web.json_response({})


async def arguments(request: web.Request) -> dict[str, Any]:
    """The request's arguments: its JSON body, which deferrable operators send with GET too, else its query."""
    if request.can_read_body:
        try:
            body = await request.json()
        except json.JSONDecodeError as error:
            raise ApiError(400, "MALFORMED_REQUEST", f"Could not parse request object: {error}") from error
        if isinstance(body, dict):
            return body
        if body is not None:
            raise ApiError(400, "MALFORMED_REQUEST", "Could not parse request object: expected an object.")
    return dict(request.query)


def failure(status: int, error_code: str, message: str) -> web.Response:
    return web.json_response({"error_code": error_code, "message": message}, status=status)


def cut(request: web.Request) -> web.StreamResponse:
    """Reset the connection instead of answering."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response(status=499)


async def listen(app: web.Application) -> web.AppRunner:
    """Serve the app on a free loopback port."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await asyncio.sleep(0)
    return runner
