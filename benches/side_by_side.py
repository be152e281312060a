"""Vestibule beside the proxies that people run, in one run on one machine.

All stand before the same upstream, with the same certificate, on the same cores; the load and the upstream have the
other cores. They take turns within every round. CPU is what the kernel charged to a proxy's processes, and not to the
service that it asks about each request; every figure is the median of the rounds, and a ratio is that of two proxies in
the same round. All traffic stays on loopback.
"""

import argparse
import contextlib
import http.client
import json
import os
import re
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import peers
from plot import plot

CONNECTIONS = 64
STREAMS = 10
HANDSHAKERS = 4
# Approximate requests per second of one core, by size.
H2_REQUESTS_A_SECOND = {1 << 10: 6000, 100 << 10: 1000}
WARM_UP_SECONDS = 1
PASSWORD = "slate-Harbour_42"


SESSION, PUBLIC, NGINX = "Vestibule (session)", "Vestibule (public route)", "nginx"
AUTH_REQUEST, HAPROXY = "nginx + auth_request", "HAProxy"
CADDY, FORWARD_AUTH = "Caddy", "Caddy + forward_auth"
PEERS = [SESSION, PUBLIC, NGINX, AUTH_REQUEST, HAPROXY, CADDY, FORWARD_AUTH]


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    load: str
    size: int
    targets: dict[str, float]
    """The most CPU per request that Vestibule with a session may take, as a multiple of each of these proxies'."""


CASES = [
    Case("h1-1k", "HTTP/1.1, 1 KiB", "h1", 1 << 10, {NGINX: 1.00, AUTH_REQUEST: 0.70, HAPROXY: 1.00}),
    Case("h1-100k", "HTTP/1.1, 100 KiB", "h1", 100 << 10, {NGINX: 0.68, HAPROXY: 1.00}),
    Case("h2-1k", "HTTP/2, 1 KiB", "h2", 1 << 10, {NGINX: 1.00}),
    Case("h2-100k", "HTTP/2, 100 KiB", "h2", 100 << 10, {NGINX: 0.70, HAPROXY: 1.00}),
    Case("handshake", "full TLS handshakes", "handshake", 0, {NGINX: 0.50, HAPROXY: 1.00}),
]


@dataclass
class Sample:
    cpu_us: float
    """CPU of the proxy per request or handshake, in microseconds, user and system."""
    per_second: float
    p50_ms: float | None
    p99_ms: float | None
    memory_mib: float
    """The highest resident memory during the run."""


def make_certificate(folder):
    """One ECDSA P-256 certificate for both proxies."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    (folder / "key.pem").chmod(0o600)


def session_cookie(folder, port):
    """Signs up and in, and answers with the cookie of the session."""
    trust = ssl.create_default_context(cafile=folder / "cert.pem")
    connection = http.client.HTTPSConnection("localhost", port, context=trust, timeout=30)

    def post(path, **fields):
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        connection.request("POST", f"/.auth/{path}", json.dumps(fields), headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        if answer.status not in (200, 201):
            sys.exit(f"/.auth/{path}: {answer.status} {body}")
        return answer

    email = "bench@example.com"
    post(
        "signup", email=email, username="bench", password=PASSWORD, password_confirm=PASSWORD, agree=True
    )
    answer = post("login", login=email, password=PASSWORD)
    connection.close()
    return answer.getheader("Set-Cookie").partition(";")[0]


def cipher_of(port):
    """Protocol, cipher and key exchange that a client of OpenSSL's defaults gets."""
    command = f"openssl s_client -connect 127.0.0.1:{port} -servername localhost"
    said = subprocess.run(command.split(), input="", capture_output=True, text=True).stdout
    found = [re.search(pattern, said) for pattern in (r"New, (.+)", r"Server Temp Key: (.+)")]
    return ", ".join(match[1] for match in found if match)


class Load:
    """Each load answers with the requests made, and the latencies in milliseconds where it tells them."""

    def __init__(self, folder, cores, headers, below=""):
        """Every request has these headers; the files are asked for below this path."""
        self.folder, self.pin, self.below = folder, ["taskset", "-c", cores], below
        self.headers = [word for header in headers for word in ("-H", header)]

    def h1(self, port, size, seconds):
        options = f"-t1 -c{CONNECTIONS} -d{seconds}s --latency".split()
        said = self.run(["wrk", *options, *self.headers, f"https://localhost:{port}{self.below}/{size}"])
        if "Non-2xx" in said or "Socket errors" in said:
            sys.exit(f"wrk met errors:\n{said}")
        requests = int(re.search(r"(\d+) requests in", said)[1])
        p50, p99 = (milliseconds(re.search(rf"^\s*{share}%\s+(\S+)", said, re.M)[1]) for share in (50, 99))
        return requests, p50, p99

    def h2(self, port, size, seconds):
        log = self.folder / "h2load.log"
        log.unlink(missing_ok=True)
        # By count: with a duration, h2load of nghttp2 1.52 sometimes never ends.
        requests = seconds * H2_REQUESTS_A_SECOND[size]
        options = f"-t1 -c{CONNECTIONS} -m{STREAMS} -n{requests} --log-file={log}".split()
        said = self.run(["h2load", *options, *self.headers, f"https://localhost:{port}{self.below}/{size}"])
        lines = [line.split("\t") for line in log.read_text().splitlines()]
        good = [int(took) for _, status, took in lines if status == "200"]
        failed = re.search(r"status codes: \d+ 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", said)
        if not good or any(int(count) for count in failed.groups()):
            sys.exit(f"h2load met errors:\n{said}")
        shares = statistics.quantiles(good, n=100)
        return len(good), shares[49] / 1000, shares[98] / 1000

    def handshake(self, port, _, seconds):
        command = f"openssl s_time -new -time {seconds} -connect 127.0.0.1:{port}".split()
        children = [
            subprocess.Popen(
                [*self.pin, *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for _ in range(HANDSHAKERS)
        ]
        total = 0
        for child in children:
            said, _ = child.communicate(timeout=seconds + 60)
            made = re.search(r"(\d+) connections in \d+ real seconds", said)
            if not made or not int(made[1]):
                sys.exit(f"openssl s_time met errors:\n{said}")
            total += int(made[1])
        return total, None, None

    def run(self, command):
        done = subprocess.run(
            [*self.pin, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
        )
        if done.returncode:
            sys.exit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
        return done.stdout


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[unit]


def measure(case, server, load, seconds):
    make = getattr(load, case.load)
    make(server.port, case.size, WARM_UP_SECONDS)
    server.forget_peak()
    cpu, began = server.cpu_seconds(), time.monotonic()
    count, p50, p99 = make(server.port, case.size, seconds)
    took, cpu = time.monotonic() - began, server.cpu_seconds() - cpu
    return Sample(cpu / count * 1e6, count / took, p50, p99, server.peak_mib())


def median(samples):
    def middle(values):
        values = list(values)
        return None if None in values else statistics.median(values)

    return Sample(*(middle(getattr(sample, name) for sample in samples) for name in Sample.__annotations__))


def halves():
    """The cores of the proxy, and those of the upstream and the load."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("two cores at least: one for the proxy, one for the load")
    half = len(cores) // 2
    return [",".join(map(str, part)) for part in (cores[:half], cores[half:])]


def running_peers(folder, arguments, cores, load_cores, running):
    """Starts the proxies that were asked for; answers with each one's server and the load that it gets."""

    def run(server):
        running.callback(server.stop)
        return server

    sizes = [case.size for case in CASES]
    behind = run(peers.upstream(folder, load_cores, sizes, ("", "public", "known"))).port
    wanted = arguments.peer or PEERS
    asks = AUTH_REQUEST in wanted or FORWARD_AUTH in wanted
    asked = run(peers.authority(folder, load_cores)).port if asks else None
    start = {
        NGINX: lambda: peers.plain_nginx(folder, cores, behind),
        AUTH_REQUEST: lambda: peers.plain_nginx(folder, cores, behind, asked),
        HAPROXY: lambda: peers.haproxy(folder, cores, behind),
        CADDY: lambda: peers.caddy(folder, cores, behind),
        FORWARD_AUTH: lambda: peers.caddy(folder, cores, behind, asked),
    }
    allow = (("/public", "public"), ("/known", "authenticated"))
    gateway = run(peers.vestibule(arguments.program.resolve(), folder, cores, behind, allow))
    headers = [f"cookie: {session_cookie(folder, gateway.port)}"]
    started = {}
    for peer in PEERS:
        if peer not in wanted:
            continue
        below = {SESSION: "/known", PUBLIC: "/public"}.get(peer, "")
        server = run(start[peer]()) if peer in start else gateway
        started[peer] = server, Load(folder, load_cores, headers, below)
    return started


def compare(folder, arguments, say):
    """Answers with the ciphers of the proxies, and all samples by case and proxy."""
    proxy_cores, load_cores = halves()
    make_certificate(folder)
    with contextlib.ExitStack() as running:
        started = running_peers(folder, arguments, proxy_cores, load_cores, running)
        ciphers = {peer: cipher_of(server.port) for peer, (server, _) in started.items()}
        samples = {case.name: {peer: [] for peer in started} for case in chosen(arguments)}
        for turn in range(arguments.rounds):
            for case in chosen(arguments):
                for peer in list(started)[:: 1 if turn % 2 == 0 else -1]:
                    server, load = started[peer]
                    sample = measure(case, server, load, arguments.seconds)
                    samples[case.name][peer].append(sample)
                    say(
                        f"round {turn + 1}/{arguments.rounds}, {case.title}, {peer}: {sample.cpu_us:.1f} µs, "
                        f"{sample.per_second:.0f}/s"
                    )
        return ciphers, samples


def chosen(arguments):
    return [case for case in CASES if case.name in (arguments.case or [case.name])]


def version(command):
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip().splitlines()[0]


def ratio(samples, peer, base):
    """The CPU of one proxy as a multiple of another's, round by round."""
    pairs = zip(samples[peer], samples[base], strict=True)
    return statistics.median(one.cpu_us / other.cpu_us for one, other in pairs)


def ratios(samples):
    """Each proxy's CPU as a multiple of nginx's."""
    return {peer: ratio(samples, peer, NGINX) for peer in samples}


def judged(case, samples):
    """The targets of a case whose proxies ran: what Vestibule is compared with, the ratio, and the most that it may be."""
    if SESSION not in samples:
        return []
    compared = [(base, most) for base, most in case.targets.items() if base in samples]
    return [(base, ratio(samples, SESSION, base), most) for base, most in compared]


def report(arguments, ciphers, results):
    versions = [version([command, option]) for command, option in (("/usr/sbin/nginx", "-v"), ("/usr/sbin/haproxy", "-v"))]
    print(
        f"{arguments.rounds} rounds of {arguments.seconds} s; {CONNECTIONS} connections, HTTP/2 with {STREAMS} streams each; "
        f"{'; '.join(versions)}; Caddy {version(['/usr/bin/caddy', 'version'])}.\n"
    )
    for cipher in sorted(set(ciphers.values())):
        print(f"{', '.join(peer for peer in ciphers if ciphers[peer] == cipher)}: {cipher}.")
    print("\n| case | proxy | CPU a request | least to most | × nginx | requests/s | p50 | p99 | memory |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")

    def time_of(value):
        return "–" if value is None else f"{value:.2f} ms"

    for case in chosen(arguments):
        for peer, samples in results[case.name].items():
            sample, spread = median(samples), [sample.cpu_us for sample in samples]
            times = f"{ratio(results[case.name], peer, NGINX):.2f}" if NGINX in results[case.name] else "–"
            print(
                f"| {case.title} | {peer} | {sample.cpu_us:.1f} µs | {min(spread):.1f} – {max(spread):.1f} | {times} "
                f"| {sample.per_second:.0f} | {time_of(sample.p50_ms)} | {time_of(sample.p99_ms)} "
                f"| {sample.memory_mib:.0f} MiB |"
            )
    print("\n| with a session | compared with | ratio | target | |")
    print("|---|---|---:|---:|---|")
    for case in chosen(arguments):
        for base, found, most in judged(case, results[case.name]):
            print(f"| {case.title} | {base} | {found:.2f} | ≤ {most:.2f} | {'met' if found <= most else 'missed'} |")


def main():
    parser = argparse.ArgumentParser(prog="benches/side-by-side", description=__doc__)
    parser.add_argument("--rounds", type=int, choices=range(1, 51), metavar="1-50", help="7, or 3 with --quick")
    parser.add_argument(
        "--seconds", type=int, choices=range(1, 61), metavar="1-60", help="of every run; 5, or 2 with --quick"
    )
    parser.add_argument(
        "--case", action="append", choices=[case.name for case in CASES], help="this one alone; may be repeated"
    )
    parser.add_argument("--peer", action="append", choices=PEERS, help="this one alone; may be repeated")
    parser.add_argument("--quick", action="store_true", help="three minutes: Vestibule and plain nginx, all cases")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the ratios to nginx there, as SVG")
    parser.add_argument("--json", action="store_true", help="print all samples as one JSON document")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    parser.add_argument("--program", type=Path, default=Path("target/release/vestibule"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (3 if arguments.quick else 7)
    arguments.seconds = arguments.seconds or (2 if arguments.quick else 5)
    if arguments.quick and not arguments.peer:
        arguments.peer = [SESSION, PUBLIC, NGINX]
    wanted = arguments.peer or PEERS
    if arguments.plot and NGINX not in wanted:
        parser.error(f"--plot draws multiples of {NGINX}: add --peer {NGINX}")
    if arguments.check and (SESSION not in wanted or not any(case.targets.keys() & set(wanted) for case in chosen(arguments))):
        parser.error(f"--check compares {SESSION!r} with a proxy that the cases have a target for: add --peer for both")

    with tempfile.TemporaryDirectory(prefix="vestibule-bench-") as folder:
        ciphers, results = compare(Path(folder), arguments, lambda text: print(text, file=sys.stderr, flush=True))
    if arguments.json:
        document = {
            case: {peer: [vars(sample) for sample in samples] for peer, samples in by_peer.items()}
            for case, by_peer in results.items()
        }
        print(json.dumps(document, indent=2))
    else:
        report(arguments, ciphers, results)
    if arguments.plot:
        arguments.plot.write_text(plot([(case.title, ratios(results[case.name])) for case in chosen(arguments)]))
    missed = [
        f"{case.title} beside {base}"
        for case in chosen(arguments)
        for base, found, most in judged(case, results[case.name])
        if found > most
    ]
    if arguments.check and missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
