"""A process under measurement: what listens on a port, and all processes below it."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """A process that listens, and all processes below it."""

    def __init__(self, command, folder, cores, port):
        self.port = port
        self.log = folder / f"{Path(command[0]).name}-{port}.log"
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(
                ["taskset", "-c", cores, *map(str, command)],
                cwd=folder,
                env={**os.environ, "HOME": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 30
        while not self.listens():
            if self.child.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{command[0]} did not start:\n{self.log.read_text(errors='replace')}")
            time.sleep(0.05)

    def listens(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def pids(self):
        found = [self.child.pid]
        for pid in found:
            found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return found

    def cpu_seconds(self):
        total = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def forget_peak(self):
        for pid in self.pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak_mib(self):
        peaks = (re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()) for pid in self.pids())
        return sum(int(peak[1]) for peak in peaks) / 1024

    def stop(self):
        self.child.terminate()
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
