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
    """By the environment, but with the digest that an access key signs with."""
    is_signing = os.environ["BACKEND_ENDPOINT_TYPE"] == "api"
    return APIConfig(domain="default", group="default", **({"hash_type": sys.argv[1]} if is_signing else {}))


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


async def use():
    return {
        "answers": [
            await ask("GET", "/folders", params={"b": "2", "a": "1 %/+"}),
            await ask("POST", "/folders/plans/files", body={"name": "계획"}),
            await ask("DELETE", "/folders/plans"),
        ],
        "websocket": await talk(),
        "events": await listen(),
    }


async def refusal(attempt):
    """How something is refused; nothing if it is not."""
    try:
        await attempt
    except BackendAPIError as error:
        return {"refused": error.status, "problem": error.data}


async def with_passwords(session, email, passwords):
    """Tries each until one is right; then everything, and out again."""
    refusals = []
    for password in passwords:
        try:
            login = await session.Auth.login(email, password)
            if login["authenticated"]:
                break
            refusals.append({"refused": 200, "problem": login["data"]})
        except BackendAPIError as error:
            refusals.append({"refused": error.status, "problem": error.data})
    else:
        return {"refusals": refusals}
    said = {"login": {"authenticated": login["authenticated"], "data": login["data"]}, **await use()}
    await session.Auth.logout()
    return {**said, "after": await refusal(ask("GET", "/folders"))}


async def main():
    async with AsyncSession(config=configured()) as session:
        if session.config.endpoint_type == "session":
            return await with_passwords(session, os.environ["PERSON_EMAIL"], sys.argv[1:])
        try:
            return await use()
        except BackendAPIError as error:
            return {"refused": error.status, "problem": error.data}


print(json.dumps(asyncio.run(main())))
