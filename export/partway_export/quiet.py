"""Keep other libraries' chatter off the terminal, so that what is left is worth reading."""

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator

from partway.engines.openvino import missing


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings, log lines, progress bars, prints and telemetry of the libraries called inside the block.

    Progress bars go through stderr, so stderr is held back too: report progress from outside the block.
    """
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    # Read when these libraries are first imported, which happens inside the first block.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    try:
        with (
            missing("openvino_telemetry"),  # which OpenVINO's converter and NNCF can do without
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
