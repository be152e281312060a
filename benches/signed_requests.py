"""What it costs Vestibule to know who sent a request, beside requests of a public route, of which it asks nobody.

One gateway, one upstream, HTTP/1.1, 1 KiB; the ways take turns within every round. A figure is the CPU that the kernel
charged to the gateway per request; what a way costs is its figure less that of the public route in the same round, and
the median of the rounds counts. All traffic stays on loopback.
"""

import argparse
import base64
import contextlib
import hashlib
import hmac
import json
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import peers
import side_by_side as bench

SIZE = 1 << 10
TARGET_US = 10.0
CASE = bench.Case("signed", "HTTP/1.1, 1 KiB", "h1", SIZE, {})
EMAIL = "bench@example.com"


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def sigv4(host, path, pair):
    """AWS Signature Version 4 in the Authorization header, the hash of the empty body declared."""
    time = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = [time[:8], "local", "bench", "aws4_request"]
    empty = hashlib.sha256(b"").hexdigest()
    names = "host;x-amz-content-sha256;x-amz-date"
    canonical = f"GET\n{path}\n\nhost:{host}\nx-amz-content-sha256:{empty}\nx-amz-date:{time}\n\n{names}\n{empty}"
    key = f"AWS4{pair['secret_key']}".encode()
    for part in scope:
        key = mac(key, part)
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    signature = mac(key, "\n".join(["AWS4-HMAC-SHA256", time, "/".join(scope), hashed])).hex()
    credential = "/".join([pair["access_key"], *scope])
    return [
        f"x-amz-date: {time}",
        f"x-amz-content-sha256: {empty}",
        f"authorization: AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}",
    ]


def backendai(host, path, pair):
    """Backend.AI's scheme."""
    time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")
    version, kind = "v9.20250722", "application/json"
    empty = hashlib.sha256(b"").hexdigest()
    text = f"GET\n{path}\n{time}\nhost:{host}\ncontent-type:{kind}\nx-backendai-version:{version}\n{empty}"
    key = mac(mac(pair["secret_key"].encode(), time[:10].replace("-", "")), host)
    signature = mac(key, text).hex()
    return [
        f"date: {time}",
        f"content-type: {kind}",
        f"x-backendai-version: {version}",
        f"authorization: BackendAI signMethod=HMAC-SHA256, credential={pair['access_key']}:{signature}",
    ]


def basic(_host, _path, pair):
    """The secret itself."""
    text = base64.b64encode(f"{pair['access_key']}:{pair['secret_key']}".encode()).decode()
    return [f"authorization: Basic {text}"]


SCHEMES = {"AWS Signature Version 4": sigv4, "Backend.AI": backendai, "Basic with an access key": basic}


def make_key(program, folder):
    command = [program, "key", "create", EMAIL, "--config", "vestibule.toml", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"key create failed:\n{done.stderr}")
    return json.loads(done.stdout)


def compare(folder, arguments, say):
    gateway_cores, load_cores = bench.halves()
    bench.make_certificate(folder)
    with contextlib.ExitStack() as running:

        def run(server):
            running.callback(server.stop)
            return server

        program = arguments.program.resolve()
        behind = run(peers.upstream(folder, load_cores, [SIZE], ("public", "known"))).port
        allow = (("/public", "public"), ("/known", "authenticated"))
        settings = "[login]\niam = true\n\n[store]\nmaster_key = { file = \"master.key\" }\n"
        gateway = run(peers.vestibule(program, folder, gateway_cores, behind, allow, settings))
        cookie = bench.session_cookie(folder, gateway.port)
        pair = make_key(program, folder)
        ways = ["public route", "session", *SCHEMES]

        def load(way):
            host, path = f"localhost:{gateway.port}", f"/known/{SIZE}"
            if way == "public route":
                return bench.Load(folder, load_cores, [], "/public")
            # Signed again for each run, because a signature is valid for minutes only.
            headers = SCHEMES[way](host, path, pair) if way in SCHEMES else [f"cookie: {cookie}"]
            return bench.Load(folder, load_cores, headers, "/known")

        samples = {way: [] for way in ways}
        for turn in range(arguments.rounds):
            for way in ways if turn % 2 == 0 else reversed(ways):
                sample = bench.measure(CASE, gateway, load(way), arguments.seconds)
                samples[way].append(sample)
                say(f"round {turn + 1}/{arguments.rounds}, {way}: {sample.cpu_us:.1f} µs, {sample.per_second:.0f}/s")
    plain = [sample.cpu_us for sample in samples["public route"]]
    return {
        way: {
            "cpu_us": statistics.median(sample.cpu_us for sample in taken),
            "costs_us": statistics.median(sample.cpu_us - base for sample, base in zip(taken, plain, strict=True)),
            "per_second": statistics.median(sample.per_second for sample in taken),
        }
        for way, taken in samples.items()
    }


def main():
    parser = argparse.ArgumentParser(prog="benches/signed-requests", description=__doc__)
    parser.add_argument("--rounds", type=int, choices=range(1, 51), metavar="1-50", default=7)
    parser.add_argument("--seconds", type=int, choices=range(1, 61), metavar="1-60", default=3, help="of every run")
    parser.add_argument("--json", action="store_true", help="print the medians as one JSON document")
    parser.add_argument("--check", action="store_true", help=f"exit with 1 when a way costs {TARGET_US:.0f} µs or more")
    parser.add_argument("--program", type=Path, default=Path("target/release/vestibule"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="vestibule-bench-") as folder:
        results = compare(Path(folder), arguments, lambda text: print(text, file=sys.stderr, flush=True))
    if arguments.json:
        print(json.dumps(results, indent=2))
    else:
        print(f"{arguments.rounds} rounds of {arguments.seconds} s, medians; {bench.CONNECTIONS} connections.\n")
        print("| who sent it is known by | CPU a request | on top of a public route | requests/s |")
        print("|---|---:|---:|---:|")
        for way, found in results.items():
            costs = "–" if way == "public route" else f"{found['costs_us']:.1f} µs"
            print(f"| {way} | {found['cpu_us']:.1f} µs | {costs} | {found['per_second']:.0f} |")
    dear = [way for way, found in results.items() if found["costs_us"] >= TARGET_US]
    if arguments.check and dear:
        sys.exit(f"too dear: {', '.join(dear)}")


if __name__ == "__main__":
    main()
