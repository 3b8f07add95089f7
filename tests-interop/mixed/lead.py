"""A leader makes way on command, for servers of either kind, while a client writes.

lead.py OXHERD OUT RELEASE...   OUT/RELEASE.class-path holds a release's class path.
"""
import os
import shutil
import subprocess
import sys

from members import Client, Member, free_ports, wait_until

KINDS = ["java", "java", "ox"]
OURS = 3


def members_of(oxherd, out, class_path):
    free = free_ports(9)
    clients, ports = free[:3], free[3:]
    lines = "skipACL=yes\n" + "".join(
        f"server.{n}=127.0.0.1:{ports[2 * n - 2]}:{ports[2 * n - 1]}\n" for n in range(1, 4))
    java = ["java", "-Xmx300m", "-Dzookeeper.admin.enableServer=false", "-cp", class_path,
            "org.apache.zookeeper.server.quorum.QuorumPeerMain"]
    commands = {"java": java, "ox": [oxherd, "serve"]}
    return [Member(n, kind, os.path.join(out, str(n)), clients[n - 1], lines, commands[kind])
            for n, kind in enumerate(KINDS, 1)]


def leader_of(members):
    modes = [member.mode() for member in members]
    is_whole = all(mode in ("leader", "follower") for mode in modes) and modes.count("leader") == 1
    return members[modes.index("leader")] if is_whole else None


def let_ours_lead(members):
    """A Java leader makes way for nobody: it is stopped, and the server with the highest number is elected."""
    ours = members[OURS - 1]
    wait_until(lambda: leader_of(members), "the members do not find together")
    leader = leader_of(members)
    if leader is not ours:
        leader.end()
        wait_until(lambda: ours.mode() == "leader", "Oxherd is not elected")
        leader.start()
        wait_until(lambda: leader_of(members), "the former leader does not come back")


def play(members, oxherd):
    wrong, written = [], 0
    for member in members:
        member.start()
    hosts = ",".join(f"127.0.0.1:{member.port}" for member in members)
    for to in (1, 2, 1):
        let_ours_lead(members)
        client = Client(members[OURS - 1].port)
        for _ in range(50):
            if client.create(f"/n{written}"):
                wrong.append(f"/n{written} is not created")
            written += 1
        asked = subprocess.run([oxherd, "lead", "--to", str(to), "--server", hosts], capture_output=True, text=True)
        if asked.returncode:
            wrong.append(f"lead --to {to}: {asked.stderr.strip()}")
        wait_until(lambda: leader_of(members), "nobody leads after the command")
        if leader_of(members).number != to:
            wrong.append(f"server {leader_of(members).number} leads, and not {to}")
    trees = [Client(member.port).tree() for member in members]
    if any(tree != trees[0] for tree in trees):
        wrong.append("the trees differ")
    if len([path for path in trees[0] if path.startswith("/n")]) != written:
        wrong.append("an acknowledged node is lost")
    return wrong


def main():
    oxherd, out, *releases = sys.argv[1:]
    for release in releases:
        with open(os.path.join(out, f"{release}.class-path")) as file:
            class_path = file.read().strip()
        name = f"a leader makes way for {' and '.join(KINDS[:2])}"
        home = os.path.join(out, f"{release}-lead")
        shutil.rmtree(home, ignore_errors=True)
        members = members_of(oxherd, home, class_path)
        try:
            wrong = play(members, oxherd)
        except (OSError, ValueError) as error:
            wrong = [repr(error)]
        finally:
            for member in members:
                member.end()
        with open(os.path.join(out, "results.tsv"), "a") as results:
            results.write(f"{'FAIL' if wrong else 'PASS'}\t{release} {name}\n")
        print(f"{'FAILED' if wrong else 'ok'} {release} {name} {'; '.join(wrong[:5])}", flush=True)


main()
