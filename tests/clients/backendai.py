"""What a program does with Backend.AI's library; prints what it was answered as JSON.

A process of its own, as the library reads which authorities to trust (SSL_CERT_FILE) when it is loaded.
"""

import asyncio
import json
import os
import sys

from ai.backend.client.config import APIConfig
from ai.backend.client.exceptions import BackendAPIError
from ai.backend.client.request import Request
from ai.backend.client.session import AsyncSession


def configured():
    return APIConfig(
        endpoint=os.environ["BACKEND_ENDPOINT"],
        endpoint_type="api",
        access_key=os.environ["BACKEND_ACCESS_KEY"],
        secret_key=os.environ["BACKEND_SECRET_KEY"],
        hash_type=sys.argv[1],
        domain="default",
        group="default",
    )


async def ask(method, path, params=None, body=None):
    request = Request(method, path, params=params)
    if body is not None:
        request.set_json(body)
    async with request.fetch() as response:
        return await response.json()


async def talk():
    async with Request("GET", "/stream/ws").connect_websocket() as ws:
        greeting = await ws.receive_str()
        await ws.send_str("안녕")
        return [greeting, await ws.receive_str()]


async def listen():
    async with Request("GET", "/stream/events").connect_events() as events:
        return [event.data async for event in events]


async def main():
    async with AsyncSession(config=configured()):
        try:
            return {
                "answers": [
                    await ask("GET", "/folders", params={"b": "2", "a": "1 %/+"}),
                    await ask("POST", "/folders/plans/files", body={"name": "계획"}),
                    await ask("DELETE", "/folders/plans"),
                ],
                "websocket": await talk(),
                "events": await listen(),
            }
        except BackendAPIError as error:
            return {"refused": error.status, "problem": error.data}


print(json.dumps(asyncio.run(main())))
