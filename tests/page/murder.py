"""A daemon and who speaks with it: real ones, over the wire."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
PASSWORD = "secret"
PATIENCE = 30
PACKAGES = {"mupdated": "mupdate-smol", "mupdated-sync": "mupdate-sync", "mupdatectl": "mupdate-ctl"}


def build():
    """Build the programs; where they are."""
    packages = [word for package in PACKAGES.values() for word in ("-p", package)]
    subprocess.run(["cargo", "build", "--locked", *packages, "--bins"], cwd=TOP, check=True)
    said = subprocess.run(["cargo", "metadata", "--format-version", "1", "--no-deps"], cwd=TOP, check=True, capture_output=True)
    return Path(json.loads(said.stdout)["target_directory"])


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Daemon:
    """One data directory with some users, at ports of its own, and the process that serves it now."""

    def __init__(self, program, users, settings):
        self.where = Path(tempfile.mkdtemp(prefix="page-test."))
        self.program, self.data, self.log = program, self.where / "data", self.where / "log"
        self.port, self.admin_port, self.process = free_port(), free_port(), None
        self.starts = 0
        self.users = users
        for user in users:
            subprocess.run([program, "user", "add", user, "--data-dir", self.data], input=PASSWORD.encode(), check=True,
                           stdout=subprocess.DEVNULL)
        self.config = self.where / "mupdated.toml"
        listen = f"admin.listen = ['./admin.sock', '127.0.0.1:{self.admin_port}']\n"
        self.config.write_text(listen + settings)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *problem):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if problem[0] and self.log.exists():
            print("\n".join(self.log.read_text(errors="replace").splitlines()[-30:]))
        shutil.rmtree(self.where, ignore_errors=True)

    def start(self):
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                [self.program, "--config", self.config, "--data-dir", self.data, "--listen", f"127.0.0.1:{self.port}",
                 "--listen", self.where / "socket"], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.starts += 1
        begun = time.monotonic()
        while self.log.read_text(errors="replace").count(" serves as ") < self.starts:
            assert self.process.poll() is None and time.monotonic() - begun < PATIENCE, "the daemon does not come up"
            time.sleep(0.02)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) == 0

    def client(self, user, over_unix=False):
        """Each user is at an address of its own, as each machine is."""
        if over_unix:
            return Client(self.where / "socket", user)
        return Client(("127.0.0.1", self.port), user, f"127.0.14.{11 + self.users.index(user)}")

    def tool(self, *words):
        """What mupdatectl says."""
        tool = Path(self.program).parent / "mupdatectl"
        done = subprocess.run([tool, *words, "--data-dir", self.data], capture_output=True, text=True)
        return done.stdout + done.stderr


class Client:
    """A connection that is logged in."""

    def __init__(self, place, user, address=None):
        unix = isinstance(place, os.PathLike)
        self.socket = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        self.socket.settimeout(PATIENCE)
        if address:
            self.socket.bind((address, 0))
        self.socket.connect(str(place) if unix else place)
        self.lines, self.tag = self.socket.makefile("rb"), 0
        self.until(b"* OK MUPDATE")
        login = base64.b64encode(f"\0{user}\0{PASSWORD}".encode()).decode()
        assert self.say("AUTHENTICATE", "PLAIN", login).startswith("OK")

    def until(self, beginning):
        for line in self.lines:
            if line.startswith(beginning):
                return line
        raise AssertionError("the connection ended")

    def send(self, verb, *words):
        self.tag += 1
        self.socket.sendall(" ".join([f"X{self.tag}", verb, *map(quoted, words)]).encode() + b"\r\n")
        return self.tag

    def answer(self, tag):
        """Its last line; rows before it have the same tag."""
        line = self.until(tuple(f"X{tag} {status}".encode() for status in ("OK", "NO", "BAD")))
        return line.decode().split(" ", 1)[1].strip()

    def say(self, verb, *words):
        return self.answer(self.send(verb, *words))

    def all(self, commands):
        """One after the other, without waiting for each answer: some dozens are under way."""
        tags = []
        for command in commands:
            tags.append(self.send(*command))
            if len(tags) > 32:
                self.answer(tags.pop(0))
        return [self.answer(tag) for tag in tags]


class Tunnel:
    """What `ssh -L PORT:SOCKET` is: a port of this host, and behind it a Unix socket. Ends that are closed are passed on."""

    def __init__(self, path):
        self.path = path
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            here, _ = self.server.accept()
            there = socket.socket(socket.AF_UNIX)
            try:
                there.connect(str(self.path))
            except OSError:
                # As ssh does: it has accepted, and closes.
                here.close()
                continue
            for one, other in [(here, there), (there, here)]:
                threading.Thread(target=self.carry, args=(one, other), daemon=True).start()

    @staticmethod
    def carry(one, other):
        try:
            while octets := one.recv(65536):
                other.sendall(octets)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (one, other):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
