"""A gRPC service without definitions: messages are bytes."""

import sys
from concurrent import futures

import grpc


def unary(message, call):
    user = dict(call.invocation_metadata()).get("remote-user", "nobody")
    call.set_trailing_metadata((("x-end", "reached"),))
    return f"{user}: ".encode() + message


def chat(messages, call):
    for number, message in enumerate(messages):
        yield f"{number} ".encode() + message


def absent(message, call):
    call.abort(grpc.StatusCode.NOT_FOUND, "no such thing: 없음")


server = grpc.server(futures.ThreadPoolExecutor(8))
handlers = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
    "Absent": grpc.unary_unary_rpc_method_handler(absent),
}
for service in ("demo.Echo", "demo.Admin"):
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
server.wait_for_termination()
