"""Observers of one kind behind voters of the other: at the leader, and at a follower's observer master port.

observers.py OXHERD OUT RELEASE...   OUT/RELEASE.class-path holds a release's class path.
"""
import os
import shutil
import signal
import sys

from members import Client, Member, compare_digests, free_ports, wait_until

CASES = [("ox", "java", False), ("ox", "java", True), ("java", "ox", False), ("java", "ox", True)]
OBSERVER = 4


def members_of(voters, observer, masters, oxherd, out, class_path):
    """Three voters and an observer; each has an address of its own, for the observer master port is one for all."""
    free = free_ports(13)
    clients, ports, master = free[:4], free[4:12], free[12]
    kinds = [voters] * 3 + [observer]
    role = {True: "observer", False: "participant"}
    lines = "".join(f"server.{n}=127.0.0.{n}:{ports[2 * n - 2]}:{ports[2 * n - 1]}:{role[n == OBSERVER]}\n"
                    for n in range(1, 5))
    if masters:
        lines += f"observerMasterPort={master}\n"
    java = ["java", "-Xmx300m", "-Dzookeeper.admin.enableServer=false", "-cp", class_path,
            "org.apache.zookeeper.server.quorum.QuorumPeerMain"]
    commands = {"java": java, "ox": [oxherd, "serve"]}
    return [Member(n, kind, os.path.join(out, str(n)), clients[n - 1],
                   lines + f"peerType={role[n == OBSERVER]}\n", commands[kind])
            for n, kind in enumerate(kinds, 1)]


def serving(members):
    return all(member.mode() in ("leader", "follower", "observer") for member in members)


def master_of(members):
    """The voter that says it serves the observer."""
    serves = [member for member in members if member.metric("zk_synced_observers") == "1"]
    return serves[0] if serves else None


def write(client, start, count, wrong):
    for number in range(start, start + count):
        error = client.create(f"/n{number}", b"x" * 50)
        if error:
            wrong.append(f"error {error} for /n{number}")


def compare(members, wrong):
    trees = [Client(member.port).tree() for member in members]
    for member, tree in zip(members, trees):
        if tree != trees[0]:
            wrong.append(f"server {member.number} ({member.kind}) has another tree than server {members[0].number}")


def compare_noted(members, wrong):
    """All of them have noted digests since the last came back."""
    write(Client(members[0].port), 800, 130, wrong)
    compare(members, wrong)
    wrong += compare_digests(members)


def play(members, masters):
    """The observer's client writes; its server is away and comes back; the one it learns from stops."""
    wrong, observer = [], members[-1]
    for member in members:
        member.start()
    wait_until(lambda: serving(members), "the members do not find together")
    wait_until(lambda: master_of(members[:3]), "nobody serves the observer")
    mode = master_of(members[:3]).mode()
    if mode != ("follower" if masters else "leader"):
        wrong.append(f"the observer learns from a {mode}")
    client = Client(observer.port)
    write(client, 0, 50, wrong)
    if client.create("/ephemeral", b"", 1):
        wrong.append("the observer's client gets no ephemeral node")
    if client.sync():
        wrong.append("the observer's client cannot sync")
    client.close()
    compare(members, wrong)
    observer.end()
    voter = Client(members[0].port)
    write(voter, 50, 700, wrong)
    observer.start()
    wait_until(lambda: serving(members), "the observer does not come back")
    compare(members, wrong)
    wait_until(lambda: master_of(members[:3]), "nobody serves the observer that came back")
    master = master_of(members[:3])
    master.end(signal.SIGTERM)
    rest = [member for member in members if member is not master]
    wait_until(lambda: serving(rest) and master_of(rest[:-1]), "the observer finds no other server to learn from")
    write(Client(observer.port), 750, 20, wrong)
    compare(rest, wrong)
    if "/ephemeral" in Client(observer.port).tree():
        wrong.append("an ephemeral node outlives its session")
    compare_noted(rest, wrong)
    return wrong


def main():
    oxherd, out, *releases = sys.argv[1:]
    for release in releases:
        with open(os.path.join(out, f"{release}.class-path")) as file:
            class_path = file.read().strip()
        for voters, observer, masters in CASES:
            name = f"{observer} observer, {voters} voters" + (", observer masters" if masters else "")
            home = os.path.join(out, f"{release}-{name.replace(',', '').replace(' ', '-')}")
            shutil.rmtree(home, ignore_errors=True)
            members = members_of(voters, observer, masters, oxherd, home, class_path)
            try:
                wrong = play(members, masters)
            except (OSError, ValueError) as error:
                wrong = [repr(error)]
            finally:
                for member in members:
                    member.end()
            with open(os.path.join(out, "results.tsv"), "a") as results:
                results.write(f"{'FAIL' if wrong else 'PASS'}\t{release} {name}\n")
            print(f"{'FAILED' if wrong else 'ok'} {release} {name} {'; '.join(wrong[:5])}", flush=True)


main()
