"""A console in Flask: it tells who its user is, and takes the webhook of a forge."""

import sys

from flask import Flask, jsonify, request

console = Flask(__name__)


@console.route("/", defaults={"path": ""})
@console.route("/<path:path>")
def page(path):
    return jsonify(path=path, user=request.headers.get("Remote-User"), groups=request.headers.get("Remote-Groups"))


@console.post("/hooks/deploy")
def deploy():
    return jsonify(deployed=request.json["ref"], user=request.headers.get("Remote-User"))


console.run("127.0.0.1", int(sys.argv[1]))
