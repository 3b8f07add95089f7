"""An ensemble that changes under load: 1, 3, 5, 3 and 1 servers, of Java and Oxherd, killed after each step.

reconfig.py OXHERD OUT RELEASE...   OUT/RELEASE.class-path holds a release's class path.
"""
import glob
import os
import shutil
import signal
import struct
import sys
import time

from load import Load
from members import Client, Member, free_ports, text, wait_until

MIXES = os.environ.get("MIXES", "ox,ox,ox,ox,ox ox,java,java,ox,java java,ox,ox,java,ox")
NEW_CONFIG_NO_QUORUM, IN_PROGRESS, CONNECTION_LOST = -13, -14, -4
RETRIED = (NEW_CONFIG_NO_QUORUM, IN_PROGRESS, CONNECTION_LOST)


class Ensemble:
    """Five servers at most, of which some belong to the ensemble."""

    def __init__(self, mix, oxherd, out, class_path):
        self.kinds, ports = mix.split(","), free_ports(15)
        self.clients, self.peers = ports[:5], ports[5:]
        java = ["java", "-Xmx200m", "-Dzookeeper.admin.enableServer=false", "-cp", class_path,
                "org.apache.zookeeper.server.quorum.QuorumPeerMain"]
        self.commands, self.out = {"java": java, "ox": [oxherd, "serve"]}, out
        self.members = {}

    def spec(self, number, kind="participant"):
        peer, votes = self.peers[2 * number - 2], self.peers[2 * number - 1]
        return f"server.{number}=127.0.0.1:{peer}:{votes}:{kind};127.0.0.1:{self.clients[number - 1]}"

    def start(self, number, others):
        """A joiner knows the servers that are there, and itself."""
        lines = "reconfigEnabled=true\nstandaloneEnabled=false\nskipACL=yes\n"
        lines += "".join(self.spec(other) + "\n" for other in sorted({number, *others}))
        kind = self.kinds[number - 1]
        member = Member(number, kind, os.path.join(self.out, str(number)), self.clients[number - 1], lines,
                        self.commands[kind])
        self.members[number] = member
        member.start()

    def running(self, numbers):
        return [self.members[number] for number in numbers]

    def leader(self):
        return next((number for number, member in self.members.items()
                     if member.process and member.mode() == "leader"), None)

    def wait_for(self, numbers):
        serve = ("leader", "follower")
        wait_until(lambda: all(member.mode() in serve for member in self.running(numbers)),
                   lambda: f"{numbers} do not serve: {[member.mode() for member in self.running(numbers)]}")

    def reconfig(self, via, joining=None, leaving=None, members=None):
        """Asks again as clients do while joiners learn or the leader changes; the new text."""
        asked = [each and text(each) or struct.pack(">i", -1) for each in (joining, leaving, members)]
        end = time.monotonic() + 60
        while True:
            try:
                error, body = Client(self.members[via].port).call(16, b"".join(asked) + struct.pack(">q", -1))
            except OSError:
                error = CONNECTION_LOST
            if error == 0:
                length = struct.unpack(">i", body[:4])[0]
                return body[4:4 + length].decode()
            if error not in RETRIED or time.monotonic() > end:
                raise ValueError(f"reconfig through {via}: error {error}")
            time.sleep(0.2)

    def begin(self, joiners, members):
        """Starts joiners. A Java learner that hears of the change between NEWLEADER and UPTODATE looks for it in the
        first proposal only and may never obey it (Learner.syncWithLeader); an Oxherd leader holds it back until then,
        for a Java one the joiners must have come so far."""
        for number in joiners:
            self.start(number, members)
        leader = self.leader()
        if leader and self.kinds[leader - 1] == "java":
            self.wait_for(joiners)

    def config(self, number):
        try:
            error, body = Client(self.members[number].port).call(4, text("/zookeeper/config") + b"\0")
        except OSError:
            return None
        return None if error else body[4:4 + struct.unpack(">i", body[:4])[0]].decode()


def server_lines(config):
    return sorted(line for line in config.splitlines() if line.startswith("server."))


def wrong_files(ensemble, number, config):
    """What is wrong with the files a member keeps beside zoo.cfg, or nothing."""
    member = ensemble.members[number]
    version = config.rsplit("version=", 1)[1]
    name = f"zoo.cfg.dynamic.{version}"
    try:
        with open(member.config) as file:
            static = file.read()
        with open(os.path.join(member.home, name)) as file:
            kept = sorted(file.read().splitlines())
    except FileNotFoundError as error:
        return repr(error)
    if name not in static or "server." in static or "clientPort" in static:
        return f"zoo.cfg does not leave the ensemble to {name}: {static}"
    if kept != server_lines(config):
        return f"{name}: {kept}"
    return "a proposed ensemble is left over" if glob.glob(os.path.join(member.home, "*.next")) else None


def step(ensemble, load, numbers, told, wanted):
    """Everybody knows the ensemble, the files say so, and it outlives its leader's death."""
    assert server_lines(told) == sorted(wanted), told
    ensemble.wait_for(numbers)
    for number in numbers:
        wait_until(lambda: server_lines(ensemble.config(number) or "") == sorted(wanted),
                   lambda: f"server {number} does not learn of {wanted}: {ensemble.config(number)}")
    config = ensemble.config(numbers[0])
    for number in numbers:
        wait_until(lambda: ensemble.config(number) == config,
                   lambda: f"{number}: {ensemble.config(number)}, not {config}")
        # A server shows an ensemble before it has written it down.
        wait_until(lambda: not wrong_files(ensemble, number, config),
                   lambda: f"{number}: {wrong_files(ensemble, number, config)}")
    load.members = ensemble.running(numbers)
    load.wait_for(50)
    leader = ensemble.leader()
    assert leader in numbers, f"{leader} leads {numbers}"
    member = ensemble.members[leader]
    member.end(signal.SIGKILL)
    if len(numbers) > 2:
        load.wait_for(50)
    member.start()
    ensemble.wait_for(numbers)
    load.wait_for(50)
    print(f"  {len(numbers)} servers, led by {leader} ({member.kind}) until it was killed", flush=True)


def leave(ensemble, stay):
    """Servers that the ensemble does not know any more end."""
    for number, member in list(ensemble.members.items()):
        if number not in stay:
            member.end(signal.SIGTERM)
            del ensemble.members[number]


def play(ensemble):
    ensemble.start(1, [])
    ensemble.wait_for([1])
    Client(ensemble.members[1].port).create("/hot")
    load = Load(ensemble.running([1]))
    try:
        return steps(ensemble, load)
    finally:
        load.end()


def steps(ensemble, load):
    spec = ensemble.spec
    load.wait_for(20)
    ensemble.begin([2, 3], [1])
    told = ensemble.reconfig(1, joining=f"{spec(2)},{spec(3)}")
    step(ensemble, load, [1, 2, 3], told, [spec(1), spec(2), spec(3)])

    ensemble.begin([4, 5], [1, 2, 3])
    told = ensemble.reconfig(2, joining=f"{spec(4)},{spec(5)}")
    step(ensemble, load, [1, 2, 3, 4, 5], told, [spec(number) for number in range(1, 6)])

    leader = ensemble.leader()
    stay = sorted({1, 2, 3, 4, 5} - {leader})[:3]
    told = ensemble.reconfig(stay[0], members="\n".join(spec(number) for number in stay))
    wait_until(lambda: ensemble.leader() in stay, "the leader that is left out still leads")
    leave(ensemble, stay)
    step(ensemble, load, stay, told, [spec(number) for number in stay])

    last = next(number for number in stay if number != ensemble.leader())
    leaving = ",".join(str(number) for number in stay if number != last)
    told = ensemble.reconfig(last, leaving=leaving)
    wait_until(lambda: ensemble.leader() == last, "the last one does not lead")
    leave(ensemble, [last])
    step(ensemble, load, [last], told, [spec(last)])

    load.end()
    tree = Client(ensemble.members[last].port).tree()
    lost = [path for path in load.acknowledged if path not in tree]
    print(f"  acknowledged writes: {len(load.acknowledged)}")
    return [f"lost {len(lost)}, such as {lost[0]}"] if lost else []


def main():
    oxherd, out, *releases = sys.argv[1:]
    passed = failed = 0
    for release in releases:
        with open(os.path.join(out, f"{release}.class-path")) as file:
            class_path = file.read().strip()
        for mix in MIXES.split():
            home = os.path.join(out, f"{release}-{mix.replace(',', '-')}")
            shutil.rmtree(home, ignore_errors=True)
            ensemble = Ensemble(mix, oxherd, home, class_path)
            try:
                wrong = play(ensemble)
            except (OSError, ValueError, AssertionError) as error:
                wrong = [repr(error)]
            finally:
                for member in ensemble.members.values():
                    member.end()
            with open(os.path.join(out, "results.tsv"), "a") as results:
                results.write(f"{'FAIL' if wrong else 'PASS'}\t{release} {mix}\n")
            print(f"{'FAILED' if wrong else 'ok'} {release} {mix} {'; '.join(wrong)}", flush=True)
            passed, failed = passed + (not wrong), failed + bool(wrong)
    print(f"reconfig: {passed} passed, {failed} failed, 0 skipped")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
