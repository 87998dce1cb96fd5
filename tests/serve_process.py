"""A server as a process of its own, which tests can kill and weigh."""

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path


class Process:
    def __init__(self, folder, *arguments, cwd):
        command = [sys.executable, "-m", "partway", "serve", str(folder), "--port", "0", *arguments]
        self.log = cwd / "stderr.txt"
        with self.log.open("a", encoding="utf-8") as log:
            self.child = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=log, text=True)
        self.address = re.search(r"http://[\d.:]+", self.child.stdout.readline())[0]

    @property
    def resident(self):
        """Bytes of memory that it holds now."""
        return self._amount("VmRSS")

    @property
    def peak(self):
        """The most that it ever held."""
        return self._amount("VmHWM")

    @property
    def said(self):
        """What it wrote to stderr."""
        return self.log.read_text("utf-8")

    def _amount(self, name):
        status = Path(f"/proc/{self.child.pid}/status").read_text("ascii")
        return 1024 * int(re.search(rf"{name}:\s+(\d+)", status)[1])

    def kill(self):
        self.child.kill()
        self.child.wait(20)

    def end(self):
        """Ask it to end, as a person does; return its exit code."""
        self.child.terminate()
        return self.child.wait(20)


@contextmanager
def process(folder, *arguments, cwd):
    one = Process(folder, *arguments, cwd=cwd)
    try:
        yield one
    finally:
        if one.child.poll() is None:
            one.kill()
        one.child.stdout.close()


def files_below(folder):
    return {os.path.join(root, name) for root, _, names in os.walk(folder) for name in names}
