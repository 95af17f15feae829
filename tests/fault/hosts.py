#!/usr/bin/env python3
"""Hosts of a test: network namespaces, each with a name, an address and a process that runs commands as sshd would,
joined by a switch. What reaches a host goes over TCP. Needs root.
As a program: `hosts.py serve ADDRESS` is that process, `hosts.py run HOST COMMAND...` what mpirun uses for ssh."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading

PORT = 22
CONNECT_SECONDS = 2
VARIABLES = re.compile(r"TROUPE_FAULT|TMPDIR|PATH|OMPI_ALLOW|NO_COLOR|LD_|ASAN|UBSAN")


def command(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def missing():
    """Why there can be no hosts here; None where they can."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    for program in ("ip", "unshare"):
        if shutil.which(program) is None:
            return f"{program} is not here; apt-get install iproute2 util-linux"
    probe = subprocess.run(["ip", "netns", "add", f"tp{os.getpid()}x"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        return f"no network namespace can be made: {probe.stderr.strip()}"
    command("ip", "netns", "del", f"tp{os.getpid()}x")
    return None


def remove_namespaces(process):
    """And all that runs in them."""
    for name in re.findall(rf"^(tp{process}\w)\b", command("ip", "netns", "list"), re.M):
        for member in command("ip", "netns", "pids", name).split():
            os.kill(int(member), signal.SIGKILL)
        command("ip", "netns", "del", name)
        for segment in pathlib.Path("/dev/shm").glob(f"*{name}*"):
            segment.unlink(missing_ok=True)


class Hosts:
    """tp<process>a, b, …; the first is where the coordinator runs."""

    def __init__(self, count):
        for process in set(re.findall(r"^tp(\d+)\w\b", command("ip", "netns", "list"), re.M)):
            if not os.path.exists(f"/proc/{process}"):
                remove_namespaces(process)  # of a test that was killed
        self.switch = f"tp{os.getpid()}x"
        self.names = [f"tp{os.getpid()}{chr(ord('a') + number)}" for number in range(count)]
        self.servers = []
        command("ip", "netns", "add", self.switch)
        command("ip", "-n", self.switch, "link", "add", "bridge", "type", "bridge")
        command("ip", "-n", self.switch, "link", "set", "bridge", "up")
        for name in self.names:
            self.add(name)

    def address(self, name):
        return f"10.77.0.{1 + self.names.index(name)}"

    def add(self, name):
        port = f"port{name[-1]}"
        command("ip", "netns", "add", name)
        command("ip", "link", "add", port, "netns", self.switch, "type", "veth", "peer", "name", "eth0", "netns", name)
        command("ip", "-n", self.switch, "link", "set", port, "master", "bridge", "up")
        command("ip", "-n", name, "address", "add", f"{self.address(name)}/24", "dev", "eth0")
        command("ip", "-n", name, "link", "set", "eth0", "up")
        command("ip", "-n", name, "link", "set", "lo", "up")
        server = subprocess.Popen([*self.inside(name), sys.executable, __file__, "serve", self.address(name)],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
        assert server.stdout.readline() == b"ready\n", f"{name} does not run"
        self.servers.append(server)

    @staticmethod
    def inside(name):
        """What a command is put behind to run on a host."""
        return ["ip", "netns", "exec", name, "unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name]

    def agent(self, folder):
        """Writes the program that mpirun uses for ssh; its path."""
        addresses = {name: self.address(name) for name in self.names}
        path = pathlib.Path(folder) / "agent"
        path.write_text(f"#!/bin/sh\nTROUPE_TEST_HOSTS='{json.dumps(addresses)}' exec {sys.executable} {__file__} run "
                        '"$@"\n')
        path.chmod(0o755)
        return path

    def processes(self, name, program=None):
        """On a host, but for what runs its commands; those of a program where one is named."""
        servers = {server.pid for server in self.servers}
        found = []
        for process in map(int, command("ip", "netns", "pids", name).split()):
            try:
                path = pathlib.Path(f"/proc/{process}/exe").readlink().name
            except OSError:
                continue  # gone
            if process not in servers and (program is None or path == program):
                found.append(process)
        return found

    def kill(self, name, program=None):
        for process in self.processes(name, program):
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def cut_off(self, name):
        command("ip", "-n", self.switch, "link", "set", f"port{name[-1]}", "down")

    def join(self, name):
        command("ip", "-n", self.switch, "link", "set", f"port{name[-1]}", "up")

    def slow_down(self, name, delay, rate):
        """What a host is sent waits so long, or, where the kernel cannot do that, is sent so slowly."""
        where = ["qdisc", "replace", "dev", f"port{name[-1]}", "root"]
        try:
            command("tc", "-n", self.switch, *where, "netem", "delay", delay, "rate", rate)
            return f"{delay} and {rate} by netem"
        except subprocess.CalledProcessError:
            command("tc", "-n", self.switch, *where, "tbf", "rate", rate, "burst", "32kbit", "latency", "1s")
            return f"{rate} by tbf"

    def close(self):
        remove_namespaces(os.getpid())
        for server in self.servers:
            server.wait()
            server.stdout.close()


def serve_one(connection):
    """A request is a line of JSON; the answer the exit code. What the command prints goes to this one's stderr."""
    with connection, connection.makefile("rw") as stream:
        request = json.loads(stream.readline())
        child = subprocess.Popen(["sh", "-c", request["command"]], env=dict(os.environ, **request["environment"]),
                                 stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True)
        try:
            stream.write(f"{child.wait()}\n")
            stream.flush()
        except OSError:
            pass  # nobody waits for it any more


def serve(address):
    with socket.create_server((address, PORT)) as listener:
        print("ready", flush=True)
        while True:
            threading.Thread(target=serve_one, args=(listener.accept()[0],), daemon=True).start()


def run(host, words):
    address = json.loads(os.environ["TROUPE_TEST_HOSTS"]).get(host, host)
    environment = {name: value for name, value in os.environ.items() if VARIABLES.match(name)}
    try:
        with socket.create_connection((address, PORT), CONNECT_SECONDS) as connection:
            connection.settimeout(None)
            with connection.makefile("rw") as stream:
                stream.write(json.dumps({"command": " ".join(words), "environment": environment}) + "\n")
                stream.flush()
                return int(stream.readline() or 255)
    except OSError as error:
        print(f"{host}: {error}", file=sys.stderr)
        return 255


if __name__ == "__main__":
    sys.exit(serve(sys.argv[2]) if sys.argv[1] == "serve" else run(sys.argv[2], sys.argv[3:]))
