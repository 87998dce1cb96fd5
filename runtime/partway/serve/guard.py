"""Who may ask: names of this server, pages that may speak to it, and the token.

A web page anywhere can send requests to a server on its visitor's machine, and with a name that resolves here
(DNS rebinding) read the answers too. So the Host is one of a few names, whatever changes something comes from no
other page, and no page may read unless it was named.
"""

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from partway.serve.http import Call
from partway.serve.refusals import Refusal

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_READS = ("GET", "HEAD", "OPTIONS")

HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; "
    "object-src 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""What every answer says to browsers."""


@dataclass(frozen=True)
class Guard:
    """The rules of one server.

    hosts   names by which it may be called, beside those of this machine itself; ports do not count
    origins web pages of other servers that may use it, as "https://example.org"
    token   what clients have to show, None where everybody may ask who reaches the server
    addresses  whether it may be called by any address in numbers, which no DNS can make another's
    """

    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    token: str | None = None
    addresses: bool = False

    def check(self, call: Call, *, needs_token: bool) -> None:
        """Raise `Refusal` for a request that may not be answered."""
        host = _host(call.headers.get("host", ""))
        if host not in LOOPBACK and host not in self.hosts and not (self.addresses and is_address(host)):
            raise _forbidden("this server is not known by the Host that was asked for; add it with --allow-host")
        if call.method not in _READS:
            self._check_page(call)
        if needs_token and self.token is not None and call.method != "OPTIONS":
            self._check_token(call.headers.get("authorization", ""))

    def cors(self, call: Call) -> dict[str, str]:
        """The headers that let a page of another server read the answer, where that page was named."""
        origin = call.headers.get("origin", "")
        if origin not in self.origins:
            return {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
            "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Requested-With",
            "Access-Control-Max-Age": "600",
            "Vary": "Origin",
        }

    def _check_page(self, call: Call) -> None:
        origin = call.headers.get("origin")
        if origin in self.origins:
            return
        own = call.headers.get("host", "").lower()
        if origin is not None and origin.lower() not in (f"http://{own}", f"https://{own}"):
            raise _forbidden("pages of other servers may not use this one; allow one with --cors")
        if origin is None and call.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            raise _forbidden("pages of other servers may not use this one; allow one with --cors")

    def _check_token(self, said: str) -> None:
        kind, _, value = said.partition(" ")
        if kind.lower() == "basic":
            try:
                value = base64.b64decode(value.strip(), validate=True).decode("utf-8", "replace").partition(":")[2]
            except (binascii.Error, ValueError):
                value = ""
        if not hmac.compare_digest(value.strip().encode(), str(self.token).encode()):
            raise Refusal(
                401,
                "this server needs its token, as a Bearer token or as the password of any user",
                kind="authentication_error",
                code="invalid_api_key",
            )


def is_address(host: str) -> bool:
    """Whether a host is an address of IPv4, or of IPv6 in brackets."""
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def hosts_of(names: Iterable[str]) -> frozenset[str]:
    """Names as they are compared: lower case, without a port, IPv6 addresses in brackets."""
    return frozenset(_host(f"[{name}]" if name.count(":") > 1 and not name.startswith("[") else name) for name in names)


def _host(header: str) -> str:
    """The name in a Host header, without its port; empty where it is none."""
    name = header.strip().lower()
    if name.startswith("["):
        return name.partition("]")[0] + "]" if "]" in name else ""
    return name.partition(":")[0].removesuffix(".")


def _forbidden(message: str) -> Refusal:
    return Refusal(403, message, kind="permission_error", code="forbidden")
