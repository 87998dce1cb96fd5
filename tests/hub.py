"""A Hub of local folders in the place of huggingface_hub's, which notes what it is asked for."""

import shutil
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub.errors import LocalEntryNotFoundError


class Hub:
    """``repositories``: folders by name, or by name@revision. ``fetched``: the files that were, in turn."""

    def __init__(self, cache, monkeypatch, **repositories):
        self.repositories = {name.replace("__", "/"): Path(folder) for name, folder in repositories.items()}
        self.cache, self.fetched, self.calls, self.online = Path(cache), [], [], True
        monkeypatch.setattr("huggingface_hub.snapshot_download", self.snapshot_download)
        monkeypatch.setattr("huggingface_hub.HfApi", lambda: self)

    def list_repo_files(self, repo_id, *, revision=None):
        if not self.online:
            raise ConnectionError("no network")
        root = self._root(repo_id, revision)
        return sorted(str(file.relative_to(root)) for file in root.rglob("*") if file.is_file())

    def snapshot_download(self, repo_id, *, revision=None, allow_patterns=None):
        self.calls.append((repo_id, revision, list(allow_patterns)))
        root, there = self._root(repo_id, revision), self.cache / f"{repo_id.replace('/', '--')}@{revision}"
        if not self.online:
            if not there.exists():
                raise LocalEntryNotFoundError("not here")
            return str(there)
        for file in self.list_repo_files(repo_id, revision=revision):
            if any(fnmatch(file, pattern) for pattern in allow_patterns) and not (there / file).exists():
                (there / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(root / file, there / file)
                self.fetched.append(file)
        there.mkdir(parents=True, exist_ok=True)
        return str(there)

    def _root(self, repo_id, revision):
        try:
            return self.repositories[repo_id if revision is None else f"{repo_id}@{revision}"]
        except KeyError:
            raise LocalEntryNotFoundError(f"no {repo_id} at {revision}") from None
