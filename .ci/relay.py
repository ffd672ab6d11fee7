"""Tries docs/guide/nginx.conf: a real nginx on this machine, programs in front of it, and behind it a server that answers
like PostHog. Needs nginx and the example `quickstart`; without nginx it does nothing and says so.
"""
import gzip
import hashlib
import http.client
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

root = Path(__file__).resolve().parent.parent
KEY = "phc_relay"
nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
if not nginx:
    print("!! SKIPPED: nginx is not installed. Nothing tries docs/guide/nginx.conf in this run.")
    sys.exit()


class PostHog(BaseHTTPRequestHandler):
    """Remembers requests, and gives scripted answers before its usual one."""

    protocol_version = "HTTP/1.1"
    lock = threading.Lock()
    requests, script, connections = [], [], 0

    def setup(self):
        with self.lock:
            PostHog.connections += 1
        super().setup()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock:
            self.requests.append((self.path, self.headers, body))
            status, headers = self.script.pop(0) if self.script else (200, {})
        answer = b'{"status":"Ok"}'
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json", "Content-Length": len(answer)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass

    @classmethod
    def taken(cls):
        """What came since the last look."""
        with cls.lock:
            requests, cls.requests[:] = list(cls.requests), []
        return requests


class Relay:
    """nginx with the documented configuration; only addresses, TLS to PostHog and places of files are others."""

    def __init__(self, directory, upstream, changes=()):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.directory = Path(directory)
        (self.directory / "log").mkdir(parents=True)
        config = (root / "docs/guide/nginx.conf").read_text()
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{kind}_temp_path {kind};\n" for kind in kinds)
        for old, new in (
            ("listen 8080;", f"listen 127.0.0.1:{self.port};"),
            ("server us.i.posthog.com:443;", f"server 127.0.0.1:{upstream};"),
            ("server us.posthog.com:443;", f"server 127.0.0.1:{upstream};"),
            ("proxy_pass https://", "proxy_pass http://"),
            ("/var/log/nginx/", "log/"),
            ("worker_processes auto;", "worker_processes 1;\npid nginx.pid;"),
            ("worker_rlimit_nofile 32768;", ""),
            ("worker_connections 16384;", "worker_connections 512;"),
            ("http {", "http {\n" + temporary),
            *changes,
        ):
            assert old in config, f"docs/guide/nginx.conf has no {old!r}"
            config = config.replace(old, new)
        (self.directory / "nginx.conf").write_text(config)
        main = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
        self.process = subprocess.Popen(
            [nginx, "-e", "log/error.log", "-p", f"{self.directory}/", "-c", "nginx.conf", "-g", main]
        )
        for _ in range(600):
            assert self.process.poll() is None, (self.directory / "log/error.log").read_text()
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                time.sleep(0.1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)

    def log(self):
        return (self.directory / "log/posthog.log").read_text()

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def post(self, path, body, connection=None, headers=None):
        connection = connection or self.connection()
        connection.request("POST", path, body, headers or {})
        answer = connection.getresponse()
        answer.read()
        return answer

    def programs(self, number):
        """So many processes of `quickstart`, at once; what they print."""
        program = root / "target/debug/examples/quickstart"
        environment = {
            "PATH": os.environ["PATH"],
            "POSTHOG_API_KEY": KEY,
            "POSTHOG_HOST": f"http://127.0.0.1:{self.port}",
            "NO_PROXY": "127.0.0.1",
        }
        running = [
            subprocess.Popen([program], env=environment, stdout=subprocess.PIPE, text=True) for _ in range(number)
        ]
        return [process.communicate(timeout=300)[0] for process in running]


def events(requests):
    return [event for _, _, body in requests for event in json.loads(gzip.decompress(body))["batch"]]


server = ThreadingHTTPServer(("127.0.0.1", 0), PostHog)
threading.Thread(target=server.serve_forever, daemon=True).start()
upstream = server.server_address[1]

with tempfile.TemporaryDirectory() as directory:
    os.chmod(directory, 0o755)
    with Relay(f"{directory}/documented", upstream) as relay:
        # Events of several processes arrive, as they were sent.
        outputs = relay.programs(3)
        assert all("\n3 delivered, 0 dropped, 0 pending\n" in output for output in outputs), outputs
        came = PostHog.taken()
        assert len(events(came)) == 9, came
        for path, headers, body in came:
            assert path == "/batch/" and json.loads(gzip.decompress(body))["api_key"] == KEY
            assert headers["Content-Encoding"] == "gzip" and headers["Host"] == "us.i.posthog.com", headers
            assert "X-Forwarded-For" not in headers, headers

        # What PostHog answers passes: the program tries again, and not before it was asked to. Its shutdown has 5 s, in
        # which a busy machine may stand still, so it has several goes.
        for _ in range(5):
            PostHog.script[:] = [(503, {}), (429, {"Retry-After": 1})]
            began = time.monotonic()
            (output,) = relay.programs(1)
            took, came = time.monotonic() - began, PostHog.taken()
            if "\n3 delivered, 0 dropped, 0 pending\n" in output:
                break
        assert "\n3 delivered, 0 dropped, 0 pending\n" in output, output
        assert took > 1 and len(came) == 3 and len({event["uuid"] for event in events(came)}) == 3, (took, len(came))

        PostHog.script[:] = [(429, {"Retry-After": 17})]
        assert relay.post("/batch/", b"{}").getheader("Retry-After") == "17"
        PostHog.taken()

        # Bodies up to PostHog's limit pass unchanged; larger ones are refused, which splits a batch.
        body = random.Random(1).randbytes(20 * 1024 * 1024)
        assert relay.post("/batch/", body, headers={"Content-Encoding": "gzip"}).status == 200
        ((_, headers, arrived),) = PostHog.taken()
        assert hashlib.sha256(arrived).digest() == hashlib.sha256(body).digest()
        assert relay.post("/i/v1/analytics/events", body + b"1").status == 413
        assert not PostHog.taken()

        # Connections are kept on both sides.
        before, connection = PostHog.connections, relay.connection()
        for _ in range(20):
            assert relay.post("/flags/?v=2", b"{}", connection, {"X-Forwarded-For": "203.0.113.7"}).status == 200
        assert PostHog.connections - before <= 2, PostHog.connections - before
        assert all("X-Forwarded-For" not in headers for _, headers, _ in PostHog.taken())

        # The REST API is another host, and nothing else passes.
        assert relay.post("/api/projects/?email=ada@example.com", b"{}").status == 200
        ((path, headers, _),) = PostHog.taken()
        assert path == "/api/projects/?email=ada@example.com" and headers["Host"] == "us.posthog.com"
        assert relay.post("/admin/", b"{}").status == 404 and not PostHog.taken()

        # The log names no key and nobody.
        log = relay.log()
        assert " POST /batch/ 200 " in log and " POST /api/projects/ 200 " in log, log
        assert KEY not in log and "ada" not in log, log

    limited = [("rate=400r/s", "rate=1r/m"), (" burst=800", "")]
    with Relay(f"{directory}/limited", upstream, limited) as relay:
        # What is above the limit is told to come back.
        assert relay.post("/batch/", b"{}").status == 200
        answer = relay.post("/batch/", b"{}")
        assert (answer.status, answer.getheader("Retry-After")) == (429, "2"), answer.status

print("docs/guide/nginx.conf: tried")
