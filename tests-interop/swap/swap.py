"""Java servers become Oxherd and Java again, one at a time on their directories and ports, while clients run.

swap.py OXHERD OUT RELEASE...   OUT/RELEASE.class-path holds a release's class path; CLIENTS is that of the Java clients,
PYTHON an interpreter with kazoo. FULL=1: also five servers with an observer. Gaps go to OUT/gaps.jsonl, a line a step.
"""
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [os.path.join(HERE, "../mixed"), os.path.join(HERE, "../both-ways")]

import wire  # noqa: E402
from guide import Follower, Guide  # noqa: E402
from members import Member, free_ports, unlike_digests, wait_until  # noqa: E402
from writers import Program, Writer, gaps, save  # noqa: E402

FULL = os.environ.get("FULL") == "1"
ENSEMBLES = os.environ.get("ENSEMBLES", "3 5+1" if FULL else "3").split()
# A pass exchanges every server: the first is the plain rolling restart that the others are compared with.
PASSES = os.environ.get("PASSES", "java ox java").split()
ENOUGH, BATCH, STOP_S = 60, 100, 30


class Ensemble:
    """Members that change their kind, and the clients of them all."""

    def __init__(self, shape, oxherd, home, class_path):
        voters, _, observers = shape.partition("+")
        count = int(voters) + int(observers or 0)
        ports = free_ports(3 * count)
        self.ports, peers = ports[:count], ports[count:]
        roles = ["participant"] * int(voters) + ["observer"] * int(observers or 0)
        lines = "".join(f"server.{n + 1}=127.0.0.1:{peers[2 * n]}:{peers[2 * n + 1]}:{roles[n]}\n" for n in range(count))
        java = ["java", "-Xmx300m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", class_path,
                "org.apache.zookeeper.server.quorum.QuorumPeerMain"]
        self.commands = {"java": java, "ox": [oxherd, "serve"]}
        self.members = [
            Member(n + 1, "java", os.path.join(home, str(n + 1)), self.ports[n],
                   lines + ("peerType=observer\n" if roles[n] == "observer" else ""), java) for n in range(count)]
        self.home, self.writers, self.programs, self.log = home, [], [], None
        self.fell, self.led_by, self.follower = [0] * count, "java", None

    def serving(self):
        return all(member.mode() in ("leader", "follower", "observer") for member in self.members)

    def start(self):
        for member in self.members:
            member.start()
        wait_until(self.serving, "the members do not find together")
        session = wire.Session(self.ports[0])
        session.create("/made", b"")
        session.close()
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        self.log = open(os.path.join(self.home, "clients.log"), "ab")
        java = ["java", "-Xmx200m", "-cp", os.environ["CLIENTS"], "oxherd.interop.SwapClients", hosts]
        python = [os.environ.get("PYTHON", "python3"), os.path.join(HERE, "kazoo_clients.py"), hosts]
        self.programs = [Program(java, self.log), Program(python, self.log)]
        self.writers = [Writer(str(n), self.ports, n) for n in range(len(self.ports))]
        self.wait_for_writes()

    def wait_for_writes(self):
        """Every writer has gone on since."""
        before = [len(writer.acks) for writer in self.writers]
        wait_until(lambda: all(len(w.acks) >= b + ENOUGH for w, b in zip(self.writers, before)), "a client cannot write")

    def end(self):
        for one in self.writers + self.programs + self.members + ([self.follower] if self.follower else []):
            one.end()
        if self.log:
            self.log.close()

    def leader(self):
        return next(member for member in self.members if member.mode() == "leader")

    def exchange(self, member, kind):
        """One step; what the clients noticed."""
        begun = time.monotonic()
        role = member.mode()
        stop(member)
        stopped = time.monotonic()
        member.kind, member.command = kind, self.commands[kind]
        member.start()
        wait_until(self.serving, f"server {member.number} does not come back as {kind}")
        serving = time.monotonic()
        self.wait_for_writes()
        ensemble, client = gaps(self.writers, begun, time.monotonic())
        return {"server": member.number, "role": role, "to": kind, "ensemble_gap_ms": round(ensemble * 1000),
                "client_gap_ms": round(client * 1000), "stop_ms": round((stopped - begun) * 1000),
                "serving_ms": round((serving - stopped) * 1000)}

    def compare(self):
        """All clients hold still; what is wrong with what the members hold and the clients saw."""
        counts = [dict(program.counts) for program in self.programs]
        mismatches = self.mismatches()
        self.wait_for_writes()
        wrong = [f"digest mismatches of server {n} grow from {b} to {a}"
                 for (n, b), (_, a) in zip(mismatches, self.mismatches()) if a != b]
        wrong += self.standing_still(counts)
        for each in self.programs:
            each.order("pause")
        for each in self.writers:
            each.pause()
        wait_until(self.still, "the members do not come to one zxid")
        trees = [dump(port) for port in self.ports]
        for member, tree in zip(self.members, trees):
            who = f"server {member.number} ({member.kind}): "
            wrong += [who + lost for writer in self.writers for lost in writer.check(tree)]
            wrong += [who + unlike for unlike in differences(trees[0], tree)]
        wrong += self.unlike_digests()
        self.resume()
        wrong += [fault for each in self.writers + self.programs for fault in each.wrong]
        return wrong, len(trees[0])

    def standing_still(self, counts):
        """What a client does not get on with, however long one waits."""
        def names():
            for program in self.programs:
                program.order("tell")
            return [f"{program.name}: no {name} since the last step, {count} in all"
                    for program, before in zip(self.programs, counts)
                    for name, count in program.counts.items() if name != "retries" and count == before.get(name, 0)]
        try:
            wait_until(lambda: not names(), "a client does not get on")
        except TimeoutError:
            return names()
        return []

    def resume(self):
        for each in self.writers:
            each.resume()
        for each in self.programs:
            each.order("resume")
        self.wait_for_writes()

    def still(self):
        def zxids():
            return {line for member in self.members for line in member.word("srvr").splitlines() if line.startswith("Zxid")}

        first = zxids()
        time.sleep(0.3)
        return len(first) == 1 and zxids() == first

    def mismatches(self):
        return [(member.number, member.metric("zk_digest_mismatches_count")) for member in self.members]

    def falls(self):
        """How often each member fell over a COMMIT of its leader."""
        return [member.falls() for member in self.members]

    def unlike_digests(self):
        """An Oxherd leader lets nobody fall; of whom a Java leader let fall the digests say nothing."""
        falls, wrong, leads = self.falls(), [], self.leader().kind
        # A step that takes the leader away ends under another one, which may be Java's.
        if self.led_by == leads == "ox":
            wrong += [f"server {member.number} fell over a COMMIT of an Oxherd leader"
                      for member, before, now in zip(self.members, self.fell, falls) if now > before]
        self.fell, self.led_by = falls, leads
        return (wrong + unlike_digests([m for m, count in zip(self.members, falls) if not count]))[:3]

    def guided(self, kind):
        """What `oxherd replace` says of a pass, look by look and in one run that stays, unless nothing changes its kind."""
        if self.members[0].kind == kind:
            return None, None
        oxherd = self.commands["ox"][0]
        self.follower = Follower(oxherd, self.members, kind, os.path.join(self.home, f"to-{kind}.jsonl"))
        self.follower.see(1)
        return Guide(oxherd, self.members, kind), self.follower

    def finish(self):
        for order in ("pause", "stop"):
            for each in self.programs:
                each.order(order)
        return [fault for each in self.programs for fault in each.wrong]


def stop(member):
    """As an operator stops it: politely."""
    member.process.send_signal(signal.SIGTERM)
    member.process.wait(STOP_S)
    member.process = None


def ask_all(session, operation, paths):
    """Many reads, a batch in flight at a time; the replies in the order of the paths, without those that are gone."""
    for at in range(0, len(paths), BATCH):
        batch = paths[at:at + BATCH]
        for number, path in enumerate(batch):
            session.send(wire.struct.pack(">ii", number + 1, operation) + wire.text(path) + (b"" if operation == 6 else b"\0"))
        for path in batch:
            reply = wire.Reader(session.receive())
            if reply.take(">iqi")[2] == 0:
                yield path, reply


def dump(port):
    """Data, stat and ACL of every node but the configuration, by path."""
    session = wire.Session(port)
    tree, level = {}, ["/"]
    while level:
        below = []
        for path, reply in ask_all(session, wire.CHILDREN2, level):
            names = sorted(reply.text() for _ in range(reply.take(">i")))
            below += [path.rstrip("/") + "/" + name for name in names]
        for path, reply in ask_all(session, wire.GET_DATA, level):
            tree[path] = (reply.buffer(), reply.stat())
        for path, reply in ask_all(session, wire.GET_ACL, level):
            tree[path] += (reply.data[16:],)
        level = [path for path in below if path != "/zookeeper/config"]
    session.close()
    return tree


def differences(left, right):
    unlike = sorted(path for path in left.keys() | right.keys() if left.get(path) != right.get(path))
    return [f"{path} is {right.get(path)}, on server 1 {left.get(path)}" for path in unlike[:3]]


def swap(ensemble, release, shape, tally):
    for turn, kind in enumerate(PASSES):
        done = []
        guide, follower = ensemble.guided(kind)
        if guide:
            guide.look()
            tally(f"{release} {shape} pass {turn}: nothing speaks against it", guide.faults(len(ensemble.members)))
        while len(done) < len(ensemble.members):
            leader = ensemble.leader()
            waiting = [member for member in reversed(ensemble.members) if member not in done]
            # Whoever leads is last; by then it may be another than in the beginning.
            member = next((member for member in waiting if member is not leader), leader)
            member = guide and guide.next() or member
            row = {"release": release, "ensemble": shape, "pass": turn, "from": member.kind}
            row |= ensemble.exchange(member, kind)
            done.append(member)
            if guide:
                # Sessions of other looks would be counted as lost.
                follower.see(len(done) + 1)
                guide.look()
            wrong, row["nodes"] = ensemble.compare()
            wrong += guide.faults(len(ensemble.members) - len(done)) if guide else []
            save(os.path.join(os.path.dirname(ensemble.home), "gaps.jsonl"), row)
            title = f"{release} {shape} pass {turn}: server {member.number} ({row['role']}) from {row['from']} to {kind}"
            tally(title, wrong)
            print(f"  {title}: {row}", flush=True)
        if follower:
            tally(f"{release} {shape} pass {turn}: one run that stays sees every step", follower.faults())
    tally(f"{release} {shape}: sessions, watches and locks kept", ensemble.finish())


def main():
    oxherd, out, *releases = sys.argv[1:]
    passed = failed = 0

    def tally(title, wrong):
        nonlocal passed, failed
        passed, failed = passed + (not wrong), failed + bool(wrong)
        with open(os.path.join(out, "results.tsv"), "a", encoding="utf-8") as results:
            results.write(f"{'FAIL' if wrong else 'PASS'}\t{title}\n")
        print(f"{'FAILED' if wrong else 'ok'} {title} {'; '.join(wrong)[:2000]}", flush=True)

    for release in releases:
        with open(os.path.join(out, f"{release}.class-path"), encoding="utf-8") as file:
            class_path = file.read().strip()
        for shape in ENSEMBLES:
            home = os.path.join(out, f"{release}-{shape}")
            shutil.rmtree(home, ignore_errors=True)
            ensemble = Ensemble(shape, oxherd, home, class_path)
            try:
                ensemble.start()
                swap(ensemble, release, shape, tally)
            except (OSError, StopIteration, wire.Lost, wire.Refused, subprocess.TimeoutExpired) as error:
                faults = [fault for each in ensemble.writers + ensemble.programs for fault in each.wrong]
                tally(f"{release} {shape} comes to its end", [repr(error), traceback.format_exc()] + faults)
            finally:
                ensemble.end()
    print(f"swap: {passed} passed, {failed} failed, 0 skipped")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
