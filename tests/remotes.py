"""Servers that hold a DVC remote, each with a key that may write and one that may only read: real S3, real ssh."""

import getpass
import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clones import run

S3_WRITE = ("WRITEKEYID", "write-secret-5c9f")
S3_READ = ("READKEYID", "read-secret-81d2")


@contextmanager
def s3(folder: Path) -> Iterator[tuple[str, str]]:
    """S3, served by rclone, over ``folder`` twice: the address to write at, and one that takes no writes."""
    (folder / "bucket").mkdir(parents=True)
    write, read = (f"--auth-key={','.join(pair)}" for pair in (S3_WRITE, S3_READ))
    command = ["rclone", "serve", "s3", "--addr=127.0.0.1:0", "--dir-cache-time=10ms", str(folder)]
    ready = r"Starting s3 server on \[(\S+?)/?\]"
    with _started([*command, write, read], ready) as one, _started([*command, read, "--read-only"], ready) as two:
        yield one[1], two[1]


@contextmanager
def _started(command: list[str], ready: str) -> Iterator[re.Match[str]]:
    """Start a server, wait for the line that says it is ready, and stop it in the end."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        try:
            said = ""
            for line in process.stderr:
                said += line
                if found := re.search(ready, line):
                    break
            else:
                raise AssertionError(f"{command[0]} did not start:\n{said}")
            threading.Thread(target=process.stderr.read, daemon=True).start()  # else it would stop at a full pipe
            yield found
        finally:
            process.kill()


@contextmanager
def ssh(folder: Path) -> Iterator[tuple[str, str, str]]:
    """OpenSSH's server: the address of ``folder`` on it, a private key that may write and one that may only read."""
    folder.mkdir()
    keys = folder / "keys"
    keys.mkdir(mode=0o700)
    for name in ("host", "write", "read"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(keys / name), cwd=keys)
    public = {name: (keys / f"{name}.pub").read_text() for name in ("write", "read")}
    (keys / "authorized").write_text(f'{public["write"]}command="internal-sftp -R",restrict {public["read"]}')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": keys / "host",
        "AuthorizedKeysFile": keys / "authorized",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "Subsystem": "sftp internal-sftp",
    }
    (keys / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # what starts the service would have made it
    command = [sshd() or "sshd", "-D", "-e", "-f", str(keys / "sshd_config")]
    with _started(command, "Server listening on"):
        address = f"ssh://{getpass.getuser()}@127.0.0.1:{port}{folder}/store"
        yield address, (keys / "write").read_text().strip(), (keys / "read").read_text().strip()


def sshd() -> str | None:
    """OpenSSH's server where it is installed; it wants to be called by its whole path."""
    return shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
