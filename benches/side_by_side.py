"""Vestibule with a signed-in session beside nginx as a plain TLS proxy that authenticates nothing.

Both stand before the same upstream, with the same certificate, on the same cores; the load and the upstream have
the other cores. The two take turns within every round, and every figure is the median of the rounds. CPU is what
the kernel charged to the proxy's processes. All traffic stays on loopback.
"""

import argparse
import contextlib
import http.client
import json
import os
import re
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 64
STREAMS = 10
HANDSHAKERS = 4
# Approximate requests per second of one core, by size.
H2_REQUESTS_A_SECOND = {1 << 10: 6000, 100 << 10: 1000}
WARM_UP_SECONDS = 1
TICKS = os.sysconf("SC_CLK_TCK")
PASSWORD = "slate-Harbour_42"


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    load: str
    size: int
    target: float
    """The most CPU per request that Vestibule may take, as a multiple of nginx's."""


CASES = [
    Case("h1-1k", "HTTP/1.1, 1 KiB", "h1", 1 << 10, 1.25),
    Case("h1-100k", "HTTP/1.1, 100 KiB", "h1", 100 << 10, 1.00),
    Case("h2-1k", "HTTP/2, 1 KiB", "h2", 1 << 10, 1.25),
    Case("h2-100k", "HTTP/2, 100 KiB", "h2", 100 << 10, 1.00),
    Case("handshake", "full TLS handshakes", "handshake", 0, 0.70),
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


class Server:
    """A process that listens, and all processes below it."""

    def __init__(self, command, folder, cores, port):
        self.port = port
        self.log = folder / f"{Path(command[0]).name}-{port}.log"
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(
                ["taskset", "-c", cores, *map(str, command)],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 30
        while not self.listens():
            if self.child.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{command[0]} did not start:\n{self.log.read_text(errors='replace')}")
            time.sleep(0.05)

    def listens(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def pids(self):
        found = [self.child.pid]
        for pid in found:
            found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return found

    def cpu_seconds(self):
        total = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def forget_peak(self):
        for pid in self.pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak_mib(self):
        peaks = (re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()) for pid in self.pids())
        return sum(int(peak[1]) for peak in peaks) / 1024

    def stop(self):
        self.child.terminate()
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def make_certificate(folder):
    """One ECDSA P-256 certificate for both proxies."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    (folder / "key.pem").chmod(0o600)


def nginx(folder, cores, port, server, events=4096):
    workers = len(cores.split(","))
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = "\n".join(
        f"    {kind}_temp_path {folder}/nginx-{port}-{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = folder / f"nginx-{port}.conf"
    configuration.write_text(
        f"""
{user}
daemon off;
worker_processes {workers};
pid {folder}/nginx-{port}.pid;
error_log stderr error;
events {{ worker_connections {events}; }}
http {{
{temporary}
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_requests 100000000;
    keepalive_timeout 75s;
{server}
}}
"""
    )
    return Server(["/usr/sbin/nginx", "-e", "stderr", "-c", configuration], folder, cores, port)


def upstream(folder, cores, paths=("",)):
    files = folder / "files"
    for below in paths:
        (files / below).mkdir(parents=True, exist_ok=True)
        for case in CASES:
            (files / below / str(case.size)).write_bytes(b"x" * case.size)
    port = free_port()
    server = f"    server {{ listen 127.0.0.1:{port}; root {files}; open_file_cache max=16; }}"
    return nginx(folder, cores, port, server)


def plain_proxy(folder, cores, behind):
    port = free_port()
    server = f"""
    upstream application {{ server 127.0.0.1:{behind}; keepalive 128; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        http2_max_concurrent_streams 128;
        location / {{
            proxy_pass http://application;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto https;
        }}
    }}"""
    return nginx(folder, cores, port, server)


def vestibule(program, folder, cores, behind, allow=(("/", "authenticated"),), settings=""):
    port = free_port()
    routes = "".join(
        f'[[route]]\npath = "{path}"\nallow = "{who}"\nupstream = "application"\n' for path, who in allow
    )
    (folder / "vestibule.toml").write_text(
        f"""
public_url = "https://localhost:{port}"

[listen]
https = ["127.0.0.1:{port}"]
ops = ""

[tls]
certificates = [{{ cert = "cert.pem", key = "key.pem" }}]

[signup]
mode = "open"

[log]
access = false

[upstream.application]
servers = ["http://127.0.0.1:{behind}"]

{settings}
{routes}
"""
    )
    return Server([program, "serve", "--config", "vestibule.toml"], folder, cores, port)


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


def compare(folder, arguments, say):
    proxy_cores, load_cores = halves()
    make_certificate(folder)
    with contextlib.ExitStack() as running:

        def run(server):
            running.callback(server.stop)
            return server

        behind = run(upstream(folder, load_cores)).port
        servers = {
            "nginx": run(plain_proxy(folder, proxy_cores, behind)),
            "vestibule": run(vestibule(arguments.program.resolve(), folder, proxy_cores, behind)),
        }
        cookie = session_cookie(folder, servers["vestibule"].port)
        ciphers = {name: cipher_of(server.port) for name, server in servers.items()}
        if len(set(ciphers.values())) != 1:
            say(f"the two speak differently: {ciphers}")
        load = Load(folder, load_cores, [f"cookie: {cookie}"])
        cases = chosen(arguments)
        samples = {(case.name, name): [] for case in cases for name in servers}
        for turn in range(arguments.rounds):
            for case in cases:
                order = list(servers) if turn % 2 == 0 else list(reversed(servers))
                for name in order:
                    sample = measure(case, servers[name], load, arguments.seconds)
                    samples[case.name, name].append(sample)
                    say(
                        f"round {turn + 1}/{arguments.rounds}, {case.title}, {name}: {sample.cpu_us:.1f} µs, "
                        f"{sample.per_second:.0f}/s"
                    )
        return ciphers, {
            case.name: {name: median(samples[case.name, name]) for name in servers} for case in cases
        }


def chosen(arguments):
    return [case for case in CASES if case.name in (arguments.case or [case.name])]


def version(command):
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip().splitlines()[0]


def report(arguments, ciphers, results):
    print(
        f"{arguments.rounds} rounds of {arguments.seconds} s, medians; {CONNECTIONS} connections, HTTP/2 with {STREAMS} "
        f"streams each; {version(['/usr/sbin/nginx', '-v'])}; {' / '.join(sorted(set(ciphers.values())))}.\n"
    )
    print("| case | proxy | CPU a request | ratio | target | requests/s | p50 | p99 | memory |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")

    def time_of(value):
        return "–" if value is None else f"{value:.2f} ms"

    for case in chosen(arguments):
        base = results[case.name]["nginx"].cpu_us
        for name, sample in results[case.name].items():
            ratio = sample.cpu_us / base
            verdict = "" if name == "nginx" else f"≤ {case.target:.2f}, {'met' if ratio <= case.target else 'missed'}"
            print(
                f"| {case.title} | {name} | {sample.cpu_us:.1f} µs | {ratio:.2f} | {verdict} | {sample.per_second:.0f} "
                f"| {time_of(sample.p50_ms)} | {time_of(sample.p99_ms)} | {sample.memory_mib:.0f} MiB |"
            )


def main():
    parser = argparse.ArgumentParser(prog="benches/side-by-side", description=__doc__)
    parser.add_argument("--rounds", type=int, choices=range(1, 51), metavar="1-50", default=5)
    parser.add_argument("--seconds", type=int, choices=range(1, 61), metavar="1-60", default=5, help="of every run")
    parser.add_argument(
        "--case", action="append", choices=[case.name for case in CASES], help="this one alone; may be repeated"
    )
    parser.add_argument("--json", action="store_true", help="print the medians as one JSON document")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    parser.add_argument("--program", type=Path, default=Path("target/release/vestibule"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="vestibule-bench-") as folder:
        ciphers, results = compare(Path(folder), arguments, lambda text: print(text, file=sys.stderr, flush=True))
    ratios = {case.name: results[case.name]["vestibule"].cpu_us / results[case.name]["nginx"].cpu_us for case in chosen(arguments)}
    if arguments.json:
        document = {
            case.name: {
                **{name: vars(sample) for name, sample in results[case.name].items()},
                "ratio": ratios[case.name],
                "target": case.target,
            }
            for case in chosen(arguments)
        }
        print(json.dumps(document, indent=2))
    else:
        report(arguments, ciphers, results)
    missed = [case.title for case in chosen(arguments) if ratios[case.name] > case.target]
    if arguments.check and missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
