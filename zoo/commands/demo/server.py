"""The page's server: this machine alone, GET alone, one picture at a time."""

from __future__ import annotations

import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, urlsplit

from zoo import __version__
from zoo.commands.demo.scene import Scene
from zoo.commands.demo.state import read_state, way
from zoo.errors import UsageError, ZooError

PLACE = "127.0.0.1"
LONGEST = 4096  # characters of a request's path and query
SECONDS = 30  # that a connection may be silent
POLICY = (
    "default-src 'none'; img-src blob: data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Answer(NamedTuple):
    """Attributes: status, kind of the body, the body, further headers by name."""

    status: HTTPStatus
    kind: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


def refusal(status: HTTPStatus, text: str) -> Answer:
    """One sentence."""
    return Answer(status, "text/plain; charset=utf-8", f"{text}\n".encode())


class Server(ThreadingHTTPServer):
    """Serves one scene on 127.0.0.1.

    Args:
        scene: the model.
        port: 0 takes a free one.

    Raises:
        UsageError: the port is taken, or not allowed.
    """

    daemon_threads = True

    def __init__(self, scene: Scene, *, port: int) -> None:
        self.scene, self.lock = scene, Lock()
        try:
            super().__init__((PLACE, port), Handler)
        except OSError as error:
            raise UsageError(
                f"--port {port}: {error.strerror} at {PLACE}; --port 0 takes a port that is free"
            ) from error
        self.address = f"http://{PLACE}:{self.server_port}/"
        self.hosts = {f"{host}:{self.server_port}" for host in (PLACE, "localhost")}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A page that was closed while it was answered is no error."""

    def answer(self, target: str, *, host: str, site: str = "none") -> Answer:
        """What a GET of that path and query gets.

        Args:
            target: path and query.
            host: the name that the browser knows this server by: another than this machine's is another page's trick.
            site: of the page that asks, by the browser's word (Sec-Fetch-Site).
        """
        if host not in self.hosts:
            return refusal(HTTPStatus.FORBIDDEN, f"this page is for this machine alone, at {self.address}")
        if len(target) > LONGEST:
            return refusal(HTTPStatus.REQUEST_URI_TOO_LONG, f"a request has at most {LONGEST} characters")
        url = urlsplit(target)
        if url.path == "/":
            return Answer(HTTPStatus.OK, "text/html; charset=utf-8", page(), (("Content-Security-Policy", POLICY),))
        if site not in ("none", "same-origin"):
            return refusal(HTTPStatus.FORBIDDEN, "another page has no business here")
        answers = {"/state": self.state, "/image": self.image}
        if url.path not in answers:
            return refusal(HTTPStatus.NOT_FOUND, "there are /, /state and /image")
        try:
            return answers[url.path](values_of(url.query))
        except ZooError as error:
            return refusal(HTTPStatus.BAD_REQUEST, str(error))

    def state(self, values: dict[str, str]) -> Answer:
        """/state?by=WAY: the controls that this model has, with the directions that are found in this way."""
        by = way(values.pop("by", "sefa"))
        none_left(values)
        with self.lock:
            controls = self.scene.controls(by)
        return Answer(HTTPStatus.OK, "application/json", json.dumps(controls).encode())

    def image(self, values: dict[str, str]) -> Answer:
        """/image?state=JSON: the picture as PNG; the header X-Command has the command line that draws the same."""
        text = values.pop("state", "{}")
        none_left(values)
        state = read_state(text, self.scene.limits)
        with self.lock:
            png = self.scene.png(state, text)
        return Answer(HTTPStatus.OK, "image/png", png, (("X-Command", quote(self.scene.command(state) or "")),))


def values_of(query: str) -> dict[str, str]:
    """The values of a query, each name once. Raises UsageError for anything else."""
    try:
        found = parse_qs(query, keep_blank_values=True, strict_parsing=bool(query), errors="strict", max_num_fields=4)
    except ValueError as error:
        raise UsageError("the query must be NAME=VALUE, percent-encoded UTF-8") from error
    if any(len(values) > 1 for values in found.values()):
        raise UsageError("the query has a name twice")
    return {name: values[0] for name, values in found.items()}


def none_left(values: dict[str, str]) -> None:
    """Raises UsageError for a name that means nothing here."""
    if values:
        raise UsageError(f"the query has an unknown {next(iter(values))[:40]!r}")


def page() -> bytes:
    """The document, complete in itself."""
    assets = files("zoo.commands.demo") / "assets"
    html, css, js = ((assets / f"demo.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    return html.replace("{css}", css).replace("{js}", js).encode()


class Handler(BaseHTTPRequestHandler):
    """Hands requests to the server's `answer`."""

    server: Server
    server_version, sys_version = f"zoo/{__version__}", ""
    timeout = SECONDS
    error_message_format, error_content_type = "%(message)s\n", "text/plain; charset=utf-8"

    def do_GET(self) -> None:
        """Answers."""
        host, site = self.headers.get("Host", ""), self.headers.get("Sec-Fetch-Site", "none")
        status, kind, body, headers = self.server.answer(self.path, host=host, site=site)
        self.send_response(status)
        own = {"Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store"}
        safe = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
        for name, value in [*(own | safe).items(), *headers]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the terminal has the address."""
