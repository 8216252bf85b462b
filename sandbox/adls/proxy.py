"""A streaming HTTP proxy that can reset, delay or spoil a request before or after the store carried it out."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager

from aiohttp import ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web
from multidict import CIMultiDict
from yarl import URL

from sandbox.faults import Fault, Faults, fault_of

CHUNK = 1 << 18
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "expect"}
KINDS = ("reset", "stall", "500", "503", "429", "403")
CODES = {
    "500": "InternalError",
    "503": "ServerBusy",
    "429": "TooManyRequests",
    "403": "AuthorizationFailure",
}


class Proxy:
    """Forwards every request to `upstream`, byte for byte, unless a fault is armed for it."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.faults = Faults()
        self.client: ClientSession | None = None

    def app(self) -> web.Application:
        app = web.Application(client_max_size=0)
        app.router.add_route("*", "/{path:.*}", self.handle)
        app.on_cleanup.append(self._close)
        return app

    def admin_app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/faults", self._list_faults)
        app.router.add_post("/faults", self._add_fault)
        app.router.add_delete("/faults", self._clear_faults)
        return app

    async def handle(self, request: web.Request) -> web.StreamResponse:
        fault = self.faults.take(request.method, request.raw_path)
        if fault is None:
            return await self._forward(request)
        if fault.when == "after":
            await self._carry_out(request)
        return await self._strike(request, fault)

    async def _strike(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.kind == "stall":
            await asyncio.sleep(fault.seconds)
        if fault.kind in CODES:
            return await _azure_error(request, fault)
        assert request.transport is not None
        request.transport.abort()
        return web.Response(status=499)

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        async with self._upstream(request) as answer:
            headers = _end_to_end(answer.headers)
            response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
            await response.prepare(request)
            if request.method != "HEAD":
                async for chunk in answer.content.iter_chunked(CHUNK):
                    await response.write(chunk)
            return response

    async def _carry_out(self, request: web.Request) -> None:
        async with self._upstream(request) as answer:
            async for _ in answer.content.iter_chunked(CHUNK):
                continue

    def _upstream(self, request: web.Request) -> AbstractAsyncContextManager[ClientResponse]:
        body = _chunks(request) if request.can_read_body else None
        url = URL(self.upstream + request.raw_path, encoded=True)
        headers = _end_to_end(request.headers)
        return self._session().request(request.method, url, headers=headers, data=body, allow_redirects=False)

    def _session(self) -> ClientSession:
        if self.client is None:
            self.client = ClientSession(
                connector=TCPConnector(limit=0, force_close=False),
                auto_decompress=False,
                cookie_jar=DummyCookieJar(),
                timeout=ClientTimeout(total=None, sock_read=300),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        return self.client

    async def _close(self, _: web.Application) -> None:
        if self.client is not None:
            await self.client.close()

    async def _list_faults(self, _: web.Request) -> web.Response:
        return web.json_response([dataclasses.asdict(fault) for fault in self.faults.armed])

    async def _add_fault(self, request: web.Request) -> web.Response:
        try:
            self.faults.add(fault_of(await request.json(), KINDS))
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        return web.json_response({})

    async def _clear_faults(self, _: web.Request) -> web.Response:
        self.faults.clear()
        return web.json_response({})


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    async for chunk in request.content.iter_chunked(CHUNK):
        yield chunk


def _end_to_end(headers: Mapping[str, str]) -> "CIMultiDict[str]":
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in HOP_BY_HOP)


async def _azure_error(request: web.Request, fault: Fault) -> web.Response:
    async for _ in request.content.iter_chunked(CHUNK):
        continue
    code = CODES[fault.kind]
    text = f"<?xml version='1.0' encoding='utf-8'?><Error><Code>{code}</Code><Message>Sandbox.</Message></Error>"
    headers = {"x-ms-error-code": code, "x-ms-request-id": "00000000-0000-0000-0000-000000000000"}
    if fault.kind in ("429", "503"):
        headers["Retry-After"] = "1"
    return web.Response(status=int(fault.kind), text=text, content_type="application/xml", headers=headers)
