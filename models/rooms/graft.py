"""Takes one network of another package: python -m models.rooms.graft PACKAGE OTHER NETWORK.

The network's folder in PACKAGE becomes what OTHER has, with its goldens and what its manifest says of it; every other
byte stays.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

from partway.graphs import NETWORKS
from partway.model import files
from partway_export.manifest import MANIFEST, put_manifest


def graft(package: Path, other: Path, network: str) -> list[str]:
    """Copies the network and returns the files that were copied; SystemExit where the packages differ in kind."""
    mine, theirs = (files.manifest(folder / MANIFEST) for folder in (package, other))
    for field in ("format", "weights"):
        if mine[field] != theirs[field]:
            raise SystemExit(f"{package} has {field} {mine[field]} and {other} {theirs[field]}: export with the same")
    for name in _files(mine, network):
        (package / name).unlink()
        del mine["files"][name]
    taken = _files(theirs, network)
    for name in taken:
        (package / name).parent.mkdir(exist_ok=True)
        shutil.copy(other / name, package / name)
        mine["files"][name] = theirs["files"][name]
    mine["files"] = dict(sorted(mine["files"].items()))
    for field in ("verification", "goldens"):
        kept = {key: value for key, value in mine[field].items() if not _of(key, network)}
        mine[field] = kept | {key: value for key, value in theirs[field].items() if _of(key, network)}
    put_manifest(package, mine)
    return taken


def _of(key: str, network: str) -> bool:
    return key in (network, f"{network}_shallow")


def _files(manifest: dict[str, Any], network: str) -> list[str]:
    """A network's own files and its goldens."""
    goldens = [path for key, path in manifest["goldens"].items() if _of(key, network)]
    return [name for name in manifest["files"] if name.split("/")[0] == network or name in goldens]


def main() -> None:
    """Takes it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("network", choices=NETWORKS)
    args = parser.parse_args()
    print(*graft(args.package, args.other, args.network))


if __name__ == "__main__":
    main()
