"""What functions of a table do, a line each."""

import inspect
from collections.abc import Callable, Mapping


def print_summaries(functions: Mapping[str, Callable[..., object]]) -> None:
    """Print each function's name in the table and the first line of its docstring."""
    width = max(map(len, functions))
    for name, function in functions.items():
        summary = (inspect.getdoc(function) or "").partition("\n")[0].replace("``", "")
        print(f"{name:<{width}} {summary}")
