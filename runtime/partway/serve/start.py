"""From what the command line says to a server that listens."""

import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import partway
from partway.errors import EngineError, InputError, install
from partway.serve.guard import Guard, hosts_of
from partway.serve.limits import Limits
from partway.serve.models import Models
from partway.serve.shelf import Shelf


@dataclass(frozen=True)
class Options:
    """Of `partway serve`.

    models    to serve, as `partway.load` takes them, the default one first; none for the built-in
    load      the other arguments of `partway.load`
    host, port  the address to listen on; port 0 for any free one
    token     that clients have to show; one is made where ``host`` is not this machine alone
    origins   web pages of other servers that may use this one
    hosts     names by which it may be called
    strength  of image-to-image where clients give none
    shelf     what prompts may name
    """

    models: tuple[str, ...] = ()
    load: Mapping[str, Any] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = 8484
    token: str | None = None
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    strength: float | None = None
    shelf: Shelf = field(default_factory=Shelf)
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, eq=False)
class Server:
    """One that listens: `run` answers until `close`, which another thread or a signal may call."""

    service: Any
    listener: Any
    token: str | None

    @property
    def address(self) -> str:
        """Its URL on this machine."""
        host = self.listener.effective_host
        host = "127.0.0.1" if host == "0.0.0.0" else "::1" if host == "::" else host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.listener.effective_port}"

    @property
    def page(self) -> str:
        """The page's URL; the token is in the part that browsers send nowhere."""
        return f"{self.address}/" + (f"#token={self.token}" if self.token else "")

    def run(self) -> None:
        """Answer until closed."""
        self.listener.run()

    def close(self) -> None:
        """Listen no more; what runs ends at its next step."""
        self.service.line.close()
        self.listener.close()


def started(options: Options) -> Server:
    """A server that listens. Raises `InputError`, and `EngineError` where the extra is not installed."""
    for origin in options.origins:
        if not origin.startswith(("http://", "https://")) or origin.rstrip("/").count("/") != 2:
            raise InputError(f"an origin is a scheme, a host and a port, like http://localhost:3000, not {origin!r}")
    if not 0 <= options.port <= 65535:
        raise InputError(f"port must be between 0 and 65535, not {options.port}")
    if options.strength is not None:
        partway.Settings(strength=options.strength)
    token = options.token or (None if _is_loopback(options.host) else secrets.token_urlsafe(24))
    models = Models(options.models, options.load)
    try:
        from partway.serve import server
        from partway.serve.application import application
        from partway.serve.service import Service
    except ModuleNotFoundError as problem:
        raise EngineError(f"{problem.name} is not installed; {install('serve')}") from None
    everywhere = options.host in ("0.0.0.0", "::")
    named = () if everywhere else (options.host,)
    origins = frozenset(origin.rstrip("/") for origin in options.origins)
    guard = Guard(hosts_of((*options.hosts, *named)), origins, token, addresses=everywhere)
    service = Service(models, options.limits, options.strength, options.shelf)
    try:
        app = application(service, guard)
        listener = server.listen(app, options.host, options.port, waiting=options.limits.waiting)
    except (OSError, OverflowError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise InputError(f"cannot listen on {options.host} port {options.port}: {reason}; try another --port") from None
    made = Server(service, listener, token)
    try:
        for name in models.names:  # a model that cannot be opened is said at once, and not to the first client
            models.pipeline(name)
    except BaseException:
        made.close()
        raise
    return made


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
