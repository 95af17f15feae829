#!/usr/bin/env python3
"""Runs over several hosts, which are network namespaces: over TCP, with a host that is lost, cut off or slow; each must
end with the bits of a run on one machine. Usage: hosts_test.py TROUPE_WITH_FAULTS SOURCE_DIR [TEST...]"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from fault_test import STEPS, Situation, expect, expect_told, restarts, told  # noqa: E402
from hosts import Hosts, missing  # noqa: E402
from processes import Run, environment, run_tests, send, wait_until  # noqa: E402

SKIPPED = 77
HANG = "worker1:dispatch:step7:hang"
# What docs/clusters.md says to put behind a firewall.
PORTS = "".join(f', --mca, {name}, "{value}"' for name, value in (
    ("oob_tcp_dynamic_ipv4_ports", "20001-20008"), ("oob_tcp_dynamic_ipv6_ports", "20001-20008"),
    ("btl_tcp_port_min_v4", 20100), ("btl_tcp_port_range_v4", 100),
    ("btl_tcp_port_min_v6", 20100), ("btl_tcp_port_range_v6", 100)))
STOP = "worker1:shard:step8:stop"


class Cluster(Situation):
    """Two hosts with a worker each; the coordinator is on the first."""

    def __init__(self, troupe, work):
        super().__init__(troupe, work)
        self.hosts = Hosts(2)
        self.near, self.far = self.hosts.names
        self.agent = self.hosts.agent(work)

    def hostfile(self, names):
        path = self.work / "-".join(names)
        path.write_text("".join(f"{name} slots=1\n" for name in names))
        return str(path)

    def begin(self, name, *arguments, faults=(), hosts=None, mpirun=""):
        os.environ["TROUPE_FAULT"] = ",".join(faults)
        marks = self.work / f"{name}-marks"
        marks.mkdir(exist_ok=True)
        os.environ["TROUPE_FAULT_MARKS"] = str(marks)
        launch = ["--set", f"launch.hostfile={self.hostfile(hosts or self.hosts.names)}",
                  "--set", f"launch.mpirun_args=[--mca, plm_rsh_agent, {self.agent}{mpirun}]"]
        return Run(self.troupe, self.work / name, [*self.config, "--workers", "2", *launch, *arguments],
                   launcher=self.hosts.inside(self.near))

    def wait_for_fault(self, run, fault):
        wait_until((self.work / f"{run.folder.name}-marks" / fault).exists, f"{fault}: {told(run)}")

    def stopped_processes(self, name):
        """Which a fault has frozen."""
        def state(process):
            try:
                return pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
            except OSError:
                return "gone"
        return [process for process in self.hosts.processes(name, pathlib.Path(self.troupe).name)
                if state(process) == "T"]


def listening_ports(process):
    """Of all processes on the same host, beyond loopback."""
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            address, port = fields[1].split(":")
            if fields[3] == "0A" and address != "0100007F":
                ports.add(int(port, 16))
    return ports


def epochs(run):
    """Of every committed checkpoint, by step."""
    return {int(path.parent.name.split("-")[1]): json.loads(path.read_text())["metadata"]["epoch"]
            for path in (run.folder / "checkpoints").glob("step-*/manifest.json")}


def two_hosts_train_as_one_does(at):
    """By names that only mpirun's agent knows: the coordinator then listens at every address, and says them by number."""
    run = at.begin("names")
    expect(run, 0)
    assert "control  every address of this host" in told(run), told(run)
    at.expect_same(run)


def the_coordinator_listens_where_the_route_to_the_hosts_begins(at):
    """And nothing listens at other ports than those that a firewall lets through, or shows the job's token."""
    run = at.begin("route", "--set", "control.port=20000", hosts=[at.hosts.address(name) for name in at.hosts.names],
                   faults=[HANG], mpirun=PORTS)
    at.wait_for_fault(run, HANG)
    contact = json.loads((run.folder / "contact.json").read_text())
    assert contact["addresses"] == [at.hosts.address(at.near)], contact
    for name in at.hosts.names:
        ports = listening_ports(at.hosts.processes(name)[0])
        for process in at.hosts.processes(name):
            arguments = pathlib.Path(f"/proc/{process}/cmdline").read_text(errors="replace")
            assert "TROUPE_JOB=" not in arguments, f"a secret that everybody on the host can read: {arguments}"
        assert ports and ports - {22} <= {*range(20000, 20009), *range(20100, 20200)}, ports
    at.hosts.kill(at.far)
    expect(run, 0)
    at.expect_same(run)


def one_mpi_job_over_two_hosts(at):
    """Classic mode: rank 0 and a worker on the first."""
    hostfile = at.work / "classic"
    hostfile.write_text(f"{at.near} slots=2\n{at.far} slots=1\n")
    launcher = [*at.hosts.inside(at.near), "mpirun", "-n", "3", "--hostfile", str(hostfile), "--mca", "plm_rsh_agent",
                str(at.agent), "--mca", "mpi_yield_when_idle", "1"]
    run = Run(at.troupe, at.work / "one-job", at.config, launcher=launcher)
    expect(run, 0)
    at.expect_same(run)
    refused = subprocess.run([*launcher, at.troupe, "train", *at.config, "--set", "control.address=127.0.0.1", "--run-dir",
                              str(at.work / "refused")], env=environment(), capture_output=True, text=True, check=False)
    assert "workers on other hosts cannot reach 127.0.0.1" in refused.stderr, refused
    assert not (at.work / "refused").exists()


def a_killed_daemon_is_named_and_the_run_goes_on(at):
    run = at.begin("daemon", faults=[HANG])
    at.wait_for_fault(run, HANG)
    at.hosts.kill(at.far, "orted")
    expect(run, 0)
    expect_told(run, f"lost its daemon on host {at.far}")
    assert [one["workers"] for one in restarts(run)] == [2], told(run)
    at.expect_same(run)


def workers_that_save_when_a_daemon_is_lost_go_on(at):
    """mpirun then tells those that are left to end, and they save; the run is not at its end, though."""
    run = at.begin("daemon-in-a-step")
    run.wait_for_steps(5)
    at.hosts.kill(at.far, "orted")
    expect(run, 0)
    expect_told(run, f"lost its daemon on host {at.far}")
    at.expect_same(run)


def all_processes_of_a_host_are_replaced(at):
    run = at.begin("host-killed", faults=[HANG])
    at.wait_for_fault(run, HANG)
    at.hosts.kill(at.far)
    expect(run, 0)
    expect_told(run, f"worker 1 (host {at.far}, process ", "is gone in step ")
    assert [one["workers"] for one in restarts(run)] == [2], told(run)
    at.expect_same(run)


def cut_off_in_a_save(at, run):
    """Worker 1 freezes while it saves step 8, then its host is cut off."""
    at.wait_for_fault(run, STOP)
    wait_until(lambda: at.stopped_processes(at.far), "worker 1 to stop")
    at.hosts.cut_off(at.far)


def a_lost_host_is_left_out(at):
    try:
        run = at.begin("lost", "--set", "elastic.silence_seconds=2", "--set", "elastic.stall_seconds=0",
                       faults=[STOP])
        cut_off_in_a_save(at, run)
        expect(run, 0)
        expect_told(run, f"worker 1 (host {at.far}, process ", "it was silent for 2 s",
                    f"{at.far} left out: no command can be run there", "with 1 worker")
        assert (run.folder / "hosts").read_text() == f"{at.near} slots=1\n"
        at.expect_same(run)
    finally:
        at.hosts.kill(at.far)
        at.hosts.join(at.far)


def after_a_partition_one_epoch_commits(at):
    """The worker on the other side wakes up while the next epoch trains, and finishes its part of a checkpoint that the
    others have given up."""
    try:
        run = at.begin("partition", "--set", "elastic.silence_seconds=2", "--set", "elastic.stall_seconds=0",
                       faults=[STOP, "worker0:update:step10:stop"])
        cut_off_in_a_save(at, run)
        run.wait_for_text("with 1 worker;")
        wait_until(lambda: at.stopped_processes(at.near), "worker 0 of the next epoch to stop")
        asleep = at.stopped_processes(at.far)
        assert len(asleep) == 1, asleep
        at.hosts.join(at.far)
        send(asleep, signal.SIGCONT)
        wait_until(lambda: not at.hosts.processes(at.far, pathlib.Path(at.troupe).name), "the old worker to end")
        send(at.stopped_processes(at.near), signal.SIGCONT)
        expect(run, 0)
        at.expect_same(run)
        committed = epochs(run)
        assert STEPS in committed and all(epoch > 1 for step, epoch in committed.items() if step >= 8), committed
    finally:
        at.hosts.kill(at.far)
        at.hosts.join(at.far)


def a_slow_link_changes_no_bit(at):
    if shutil.which("tc") is None:
        print("SKIPPED: a_slow_link_changes_no_bit: tc is not here; apt-get install iproute2")
        return
    how = at.hosts.slow_down(at.far, "5ms", "20mbit")
    run = at.begin("slow")
    expect(run, 0)
    assert "silent" not in told(run), told(run)
    at.expect_same(run)
    print(f"the link had {how}")


def nothing_is_left(at):
    """Workers and daemons that lost their coordinator end by themselves."""
    wait_until(lambda: not any(at.hosts.processes(name, "orted") for name in at.hosts.names), "the last daemon to end", 20)


TESTS = [two_hosts_train_as_one_does, the_coordinator_listens_where_the_route_to_the_hosts_begins,
         one_mpi_job_over_two_hosts, a_killed_daemon_is_named_and_the_run_goes_on,
         workers_that_save_when_a_daemon_is_lost_go_on, all_processes_of_a_host_are_replaced, a_lost_host_is_left_out, after_a_partition_one_epoch_commits,
         a_slow_link_changes_no_bit]


def main():
    troupe, source, *names = sys.argv[1:]
    reason = missing()
    if reason:
        print(f"SKIPPED: {reason}")
        return SKIPPED
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    work = pathlib.Path(tempfile.mkdtemp(prefix="troupe-hosts-"))
    (work / "tmp").mkdir()
    os.environ["TMPDIR"] = str(work / "tmp")
    troupe = os.path.abspath(troupe)
    os.chdir(source)
    at = Cluster(troupe, work)
    try:
        return run_tests(TESTS, names, work, at, nothing_is_left)
    finally:
        at.hosts.close()


if __name__ == "__main__":
    sys.exit(main())
