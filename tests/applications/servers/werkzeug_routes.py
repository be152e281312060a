"""Flask, whose routes are werkzeug's."""

import logging
import sys

from flask import Flask

application = Flask(__name__)
logging.getLogger("werkzeug").setLevel(logging.ERROR)


@application.route("/admin", strict_slashes=False)
@application.route("/admin/<path:rest>")
def admin(rest=""):
    return "ADMIN"


@application.route("/")
@application.route("/<path:rest>")
def everything_else(rest=""):
    return "OPEN"


application.run("127.0.0.1", int(sys.argv[1]), threaded=True)
