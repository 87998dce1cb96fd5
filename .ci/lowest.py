"""Prints constraints that hold every dependency at the lowest version that pyproject.toml allows: lowest.py EXTRA."""

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
for requirement in sum((project["optional-dependencies"][extra] for extra in sys.argv[1:]), project["dependencies"]):
    name, least = re.match(r"([\w-]+)>=([\d.]+)", requirement).groups()
    print(f"{name}=={least}")
