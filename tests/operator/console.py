"""A console in Flask: it tells who its user is, and takes the webhook of a forge."""

import sys
from urllib.parse import unquote

from flask import Flask, jsonify, request

console = Flask(__name__)


@console.route("/", defaults={"path": ""})
@console.route("/<path:path>")
def page(path):
    return jsonify(path=path, user=request.headers.get("Remote-User"), groups=request.headers.get("Remote-Groups"))


@console.route("/ops/name")
def name():
    told = request.headers
    # As the manual says: WSGI hands the bytes of a header on as ISO 8859-1.
    utf8 = told["Remote-Name"].encode("latin-1").decode()
    return jsonify(utf8=utf8, ascii=told["X-Name-Ascii"], percent=unquote(told["X-Name-Percent"]))


@console.post("/hooks/deploy")
def deploy():
    return jsonify(deployed=request.json["ref"], user=request.headers.get("Remote-User"))


console.run("127.0.0.1", int(sys.argv[1]))
