#!/usr/bin/env python3
"""A CGI program that tells what it was told."""

import json
import os

told = {name: value for name, value in os.environ.items() if name.startswith(("HTTP_", "REMOTE_", "CONTENT_"))}
print("Content-Type: application/json\n")
print(json.dumps(told))
