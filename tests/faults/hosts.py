"""Hosts of their own on this machine: network namespaces on one switch, which share no folder.

Each has its own processes, name, `/tmp` (where its home, cache and working directory are) and shared memory.
What is installed, harness among it, is the same on all of them and can only be read.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.faults.support import until

NETWORK = "10.98.76"
HEAD_PORT = 6379
CLIENT_PORT = 10001
INSTALLED = (Path(__file__).parents[2], Path(sys.prefix), Path(sys.base_prefix))
"""What every host has: this repository, and Python with its packages."""
RAY = (sys.executable, "-m", "ray.scripts.scripts")
RAY_MEMORY = 128 << 20
"""Bytes of a node's object store."""


@dataclass
class Host:
    """One machine."""

    number: int
    """From 1."""
    switch: str
    folder: Path
    """Its `/tmp`, as it is seen from outside."""
    outer: subprocess.Popen[bytes]
    """What waits for its first process, outside."""
    init: psutil.Process
    """Its first process, with which all others end."""

    @property
    def name(self) -> str:
        """As Ray and harness call it."""
        return f"host{self.number}"

    @property
    def address(self) -> str:
        """In the switch's network."""
        return f"{NETWORK}.{self.number}"

    @property
    def prefix(self) -> list[str]:
        """What stands before a command that is to run there."""
        return [
            "nsenter", f"--target={self.init.pid}", "--mount", "--net", "--pid", "--uts", "--ipc",
            "env", "--chdir=/tmp/work", *(f"{name}={value}" for name, value in self.environment.items()),
        ]  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        """Variables of every process there."""
        return {
            "HARNESS_HOME": "/tmp/home",
            "HARNESS_CACHE": "/tmp/cache",
            "HOME": "/tmp",
            "TMPDIR": "/tmp",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",
            # All hosts share this machine's cores, so that a Ray Client's server may take long to start.
            "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "180",
        }

    def run(self, *command: str) -> str:
        """Run a command there to its end; what it says."""
        done = subprocess.run(
            [*self.prefix, *command], capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start_head(self) -> str:
        """Start a Ray cluster there, without room for workers; its address."""
        self.run(
            *RAY, "start", "--head", "--num-cpus=0", "--num-gpus=0", f"--port={HEAD_PORT}",
            f"--node-ip-address={self.address}", f"--ray-client-server-port={CLIENT_PORT}",
            "--include-dashboard=false", f"--object-store-memory={RAY_MEMORY}",
        )  # fmt: skip
        return f"{self.address}:{HEAD_PORT}"

    def join(self, head: str, cpus: int = 1) -> None:
        """Make it a node of the cluster, with room for so many workers."""
        self.run(
            *RAY, "start", f"--address={head}", f"--num-cpus={cpus}", "--num-gpus=0",
            f"--node-ip-address={self.address}", f"--object-store-memory={RAY_MEMORY}",
        )  # fmt: skip

    def processes(self) -> list[psutil.Process]:
        """All that run there."""
        return [one for one in self.init.children(recursive=True) if one.is_running()]

    def cut(self) -> None:
        """Pull the cable out of the switch: nothing arrives any more, and nobody is told."""
        _ip("-n", self.switch, "link", "set", self.name, "down")

    def mend(self) -> None:
        """Put the cable back."""
        _ip("-n", self.switch, "link", "set", self.name, "up")

    def kill(self) -> None:
        """Send SIGKILL to all of its processes at once."""
        self.init.send_signal(signal.SIGKILL)


class Network:
    """A switch, to which hosts are added."""

    def __init__(self, folder: Path) -> None:
        """Switch it on.

        Args:
            folder: for the hosts' folders; no host sees it.
        """
        self._folder = folder
        self._name = f"harness-{os.getpid()}"
        self._hosts: list[Host] = []
        self._namespaces: list[str] = []
        _ip("netns", "add", self._name)
        _ip("-n", self._name, "link", "add", "switch", "type", "bridge")
        _ip("-n", self._name, "link", "set", "switch", "up")

    def add(self) -> Host:
        """A host that is up and reaches the others."""
        number = len(self._hosts) + 1
        name, namespace = f"host{number}", f"{self._name}-{number}"
        folder = self._folder / name
        for place in ("work", "home", "cache"):
            (folder / place).mkdir(parents=True)
        (folder / "hosts").write_text(f"127.0.0.1 localhost\n{NETWORK}.{number} {name}\n")
        _ip("netns", "add", namespace)
        self._namespaces.append(namespace)
        _ip("-n", namespace, "link", "set", "lo", "up")
        ends = ["eth0", "netns", namespace, "type", "veth", "peer", "name", name, "netns", self._name]
        _ip("link", "add", *ends)
        _ip("-n", self._name, "link", "set", name, "master", "switch", "up")
        _ip("-n", namespace, "address", "add", f"{NETWORK}.{number}/24", "dev", "eth0")
        _ip("-n", namespace, "link", "set", "eth0", "up")
        with (self._folder / f"{name}.txt").open("wb") as said:
            outer = subprocess.Popen(
                [
                    "ip", "netns", "exec", namespace, "unshare", "--mount", "--uts", "--ipc", "--pid",
                    "--fork", "--kill-child", "--mount-proc", "bash", "-ec", self._inside(name, folder),
                ],
                stdin=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
            )  # fmt: skip
        until(lambda: (folder / "up").exists() or outer.poll() is not None)
        assert outer.poll() is None, (self._folder / f"{name}.txt").read_text()
        (init,) = psutil.Process(outer.pid).children()
        host = Host(number, self._name, folder, outer, init)
        self._hosts.append(host)
        return host

    def close(self) -> None:
        """Switch everything off; nothing is left."""
        for host in self._hosts:
            if host.init.is_running():
                host.kill()
            host.outer.wait(30)
        for namespace in (*self._namespaces, self._name):
            _ip("netns", "delete", namespace)

    def _inside(self, name: str, folder: Path) -> str:
        """What the first process of a host does: it hides what others have, and takes in orphans."""
        lines = [f"hostname {name}", f"mount --bind {shlex.quote(str(folder / 'hosts'))} /etc/hosts"]
        for place in INSTALLED:
            if place.is_relative_to("/tmp"):  # which is hidden
                outside, inside = (
                    shlex.quote(str(one)) for one in (place, folder / place.relative_to("/tmp"))
                )
                lines += [
                    f"mkdir --parents {inside}",
                    f"mountpoint --quiet {inside} || mount --bind --options ro {outside} {inside}",
                ]
        hidden = shlex.quote(str(self._folder))
        lines += [
            f"mount --rbind {shlex.quote(str(folder))} /tmp",
            "cd /tmp",
            f"test ! -d {hidden} || mount --types tmpfs none {hidden}",
            "mount --types tmpfs --options size=1g none /dev/shm",
            "touch /tmp/up",
            "sleep infinity & wait",
        ]
        return "\n".join(lines)


@contextmanager
def network(folder: Path) -> Iterator[Network]:
    """A switch and what is added to it, while the block runs.

    Fails with a sentence where this machine does not allow it.
    """
    missing = [program for program in ("ip", "nsenter", "unshare", "bash") if shutil.which(program) is None]
    assert not missing, (
        f"Hosts of their own need {' and '.join(missing)} (Debian's packages iproute2 and util-linux)."
    )
    made = Network(folder)
    try:
        yield made
    finally:
        made.close()


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (
        f"Hosts of their own need the right to make network namespaces (root, CAP_SYS_ADMIN and "
        f"CAP_NET_ADMIN): ip {' '.join(arguments)} said: {done.stderr.strip()}"
    )
