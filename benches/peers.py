"""The proxies beside which Vestibule is measured, each as its manual would have it: TLS 1.2 and 1.3, HTTP/2 with 128 streams,
connections to the upstream kept alive, no access log, `X-Forwarded-For` and `-Proto` for the upstream.
"""

import os

from server import Server, free_port


def nginx(folder, cores, port, server):
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
events {{ worker_connections 4096; }}
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


def upstream(folder, cores, sizes, paths):
    """Serves files of these sizes, whose names are their sizes, below each of these paths."""
    files = folder / "files"
    for below in paths:
        (files / below).mkdir(parents=True, exist_ok=True)
        for size in sizes:
            (files / below / str(size)).write_bytes(b"x" * size)
    port = free_port()
    server = f"    server {{ listen 127.0.0.1:{port}; root {files}; open_file_cache max=16; }}"
    return nginx(folder, cores, port, server)


def authority(folder, cores):
    """Says 200 to everybody, as the service that a proxy asks about each request."""
    port = free_port()
    return nginx(folder, cores, port, f"    server {{ listen 127.0.0.1:{port}; return 200; }}")


def plain_nginx(folder, cores, behind, asked=None):
    """A TLS proxy that authenticates nothing, or asks the service at the port `asked` about each request."""
    port = free_port()
    # Any `proxy_set_header` of a location replaces all that it would inherit.
    subrequest = f"""
        location = /authority {{
            internal;
            proxy_pass http://authority;
            proxy_http_version 1.1;
            proxy_pass_request_body off;
            proxy_set_header Connection "";
            proxy_set_header Content-Length "";
            proxy_set_header X-Original-URI $request_uri;
        }}"""
    service = f"upstream authority {{ server 127.0.0.1:{asked}; keepalive 128; keepalive_requests 100000000; }}"
    server = f"""
    upstream application {{ server 127.0.0.1:{behind}; keepalive 128; keepalive_requests 100000000; }}
    {service if asked else ""}
    server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        http2_max_concurrent_streams 128;
        location / {{
            {"auth_request /authority;" if asked else ""}
            proxy_pass http://application;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto https;
        }}{subrequest if asked else ""}
    }}"""
    return nginx(folder, cores, port, server)


def haproxy(folder, cores, behind):
    port = free_port()
    pair = folder / "pair.pem"
    pair.touch(0o600)
    pair.write_bytes((folder / "cert.pem").read_bytes() + (folder / "key.pem").read_bytes())
    configuration = folder / "haproxy.cfg"
    configuration.write_text(
        f"""
global
    nbthread {len(cores.split(","))}
    ssl-default-bind-options ssl-min-ver TLSv1.2
    tune.h2.max-concurrent-streams 128
defaults
    mode http
    timeout connect 5s
    timeout client 75s
    timeout server 75s
    http-reuse always
frontend clients
    bind 127.0.0.1:{port} ssl crt {pair} alpn h2,http/1.1
    option forwardfor
    http-request set-header X-Forwarded-Proto https
    default_backend application
backend application
    server application 127.0.0.1:{behind}
"""
    )
    return Server(["/usr/sbin/haproxy", "-db", "-f", configuration], folder, cores, port)


def caddy(folder, cores, behind, asked=None):
    """A TLS proxy that authenticates nothing, or asks the service at the port `asked` about each request."""
    port = free_port()
    forward_auth = f"forward_auth 127.0.0.1:{asked} {{\n        uri /\n    }}" if asked else ""
    configuration = folder / f"Caddyfile-{port}"
    configuration.write_text(
        f"""
{{
    admin off
    auto_https off
    default_sni localhost
    servers {{
        protocols h1 h2
    }}
}}
https://localhost:{port} {{
    bind 127.0.0.1
    tls {folder}/cert.pem {folder}/key.pem
    {forward_auth}
    reverse_proxy 127.0.0.1:{behind} {{
        transport http {{
            keepalive_idle_conns_per_host 128
        }}
    }}
}}
"""
    )
    command = ["/usr/bin/caddy", "run", "--adapter", "caddyfile", "--config", configuration]
    return Server(command, folder, cores, port)


def vestibule(program, folder, cores, behind, allow, settings=""):
    """A gateway with a route for each path and policy of `allow`."""
    port = free_port()
    # All load comes from one address, which may use half of an upstream's connections and no more.
    connections = 2048
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
max_connections = {connections}

{settings}
{routes}
"""
    )
    return Server([program, "serve", "--config", "vestibule.toml"], folder, cores, port)
