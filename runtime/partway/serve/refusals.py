"""What a client is told when it does not get a picture: one sentence, a status, and no word about this machine."""

import logging

from partway.errors import ImageError, InputError, NetworkError, PartwayError

LONGEST = 400
"""Characters of a message; longer ones repeat what was sent, which may be megabytes."""

log = logging.getLogger("partway.serve")


class Refusal(Exception):
    """A request is refused, or its run failed.

    status   of HTTP
    kind     "invalid_request_error" and the like, as OpenAI's clients know them
    param    the field that is wrong, where one is
    code     a short name for programs
    retry_after  seconds after which it is worth another try; None where it never is
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        text = " ".join(message.split())
        self.message = text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
        super().__init__(self.message)
        self.status, self.kind, self.param, self.code, self.retry_after = status, kind, param, code, retry_after


def invalid(message: str, param: str | None = None) -> Refusal:
    """A field that is wrong."""
    return Refusal(400, message, param=param)


def refusal(problem: BaseException) -> Refusal:
    """What a client is told of a problem; one that nobody foresaw goes to the log and is called a failure here.

    A network that fails is named with what to do, in partway's own words. Messages about models and engines name
    folders, which stay here.
    """
    if isinstance(problem, Refusal):
        return problem
    if isinstance(problem, InputError | ImageError):
        return Refusal(400, str(problem))
    failed = "server_error"
    if isinstance(problem, MemoryError):
        return Refusal(500, "out of memory; use a smaller picture or serve a smaller model", kind=failed)
    if isinstance(problem, NetworkError):
        return Refusal(500, str(problem), kind=failed, code="network_failed")
    if isinstance(problem, PartwayError):
        log.error("%s", problem)
        return Refusal(500, "the model cannot be used on this machine; the server's log says why", kind=failed)
    log.error("a request failed", exc_info=problem)
    return Refusal(500, "something went wrong in the server, whose log says what", kind=failed)
