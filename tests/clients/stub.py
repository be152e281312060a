"""An application that says what it was asked, and the little of Backend.AI's manager that its command line needs."""

import asyncio
import hashlib
import re
import sys

from aiohttp import WSMsgType, web

VFOLDER = {
    "id": "00000000-0000-0000-0000-000000000001",
    "host": "local:volume1",
    "name": "plans",
    "group": None,
    "group_id": None,
    "status": "ready",
    "ownership_type": "user",
    "permission": "rw",
    "created_at": "2026-01-02T03:04:05Z",
}


async def version(_):
    return web.json_response({"version": "v9.20250722", "manager": "26.9.6"})


async def announcement(_):
    return web.json_response({"enabled": False, "message": ""})


async def graphql(request):
    """The fields that were asked for, and no other: the command line takes what comes for its columns."""
    asked = (await request.json())["query"]
    fields = re.search(r"items\s*\{([^{}]*)\}", asked)[1].split()
    found = {"items": [{field: VFOLDER.get(field) for field in fields}], "total_count": 1}
    return web.json_response({"data": {"vfolder_list": found}})


async def websocket(request):
    answer = web.WebSocketResponse()
    await answer.prepare(request)
    await answer.send_str(request.headers.get("Remote-User", ""))
    async for message in answer:
        if message.type == WSMsgType.TEXT:
            await answer.send_str(message.data)
    return answer


async def events(request):
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    for number in range(3):
        await answer.write(f"event: tick\ndata: {number}\n\n".encode())
        await asyncio.sleep(0)
    await answer.write(b"event: server_close\ndata: \n\n")
    return answer


async def echo(request):
    digest, length = hashlib.sha256(), 0
    async for piece in request.content.iter_any():
        digest.update(piece)
        length += len(piece)
    said = {
        "method": request.method,
        "target": request.raw_path,
        "headers": [[name.lower(), value] for name, value in request.headers.items()],
        "length": length,
        "sha256": digest.hexdigest(),
    }
    tag = {"ETag": f'"{digest.hexdigest()}"'}
    if request.method == "PUT" and request.path.startswith("/bucket/"):
        # A client of S3 takes content here for an error.
        said = {key: value for key, value in said["headers"] if key in ("content-encoding", "remote-user")}
        return web.Response(headers=tag | {f"x-seen-{name}": value for name, value in said.items()})
    return web.json_response(said, headers=tag)


application = web.Application()
application.router.add_get("/", version)
application.router.add_get("/manager/announcement", announcement)
application.router.add_post("/admin/gql", graphql)
application.router.add_get("/stream/ws", websocket)
application.router.add_get("/stream/events", events)
application.router.add_route("*", "/{path:.*}", echo)

web.run_app(application, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
