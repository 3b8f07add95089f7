"""One ensemble of Java and Oxherd: leaders are killed under load, members lose their disks; then all are compared.

mixed.py OXHERD OUT RELEASE...   OUT/RELEASE.class-path holds a release's class path.
"""
import os
import shutil
import signal
import sys
import time

from load import Load
from members import Client, Member, compare_digests, free_ports, wait_until

MIXES = os.environ.get("MIXES", "java,java,ox java,ox,ox ox,ox,java ox,java,java,ox,ox")
ROUNDS = int(os.environ.get("ROUNDS", "4"))


def members_of(mix, oxherd, out, class_path):
    kinds = mix.split(",")
    ports = free_ports(3 * len(kinds))
    clients, peers = ports[:len(kinds)], ports[len(kinds):]
    lines = "".join(f"server.{n + 1}=127.0.0.1:{peers[2 * n]}:{peers[2 * n + 1]}\n" for n in range(len(kinds)))
    java = ["java", "-Xmx300m", "-Dzookeeper.admin.enableServer=false", "-cp", class_path,
            "org.apache.zookeeper.server.quorum.QuorumPeerMain"]
    commands = {"java": java, "ox": [oxherd, "serve"]}
    return [Member(n + 1, kind, os.path.join(out, str(n + 1)), clients[n], lines, commands[kind])
            for n, kind in enumerate(kinds)]


def serving(members):
    return sum(member.mode() in ("leader", "follower") for member in members) == len(members)


def mismatches(members):
    return [member.metric("zk_digest_mismatches_count") for member in members]


def no_ephemerals(members):
    return not any(name.startswith("e") for member in members for name in Client(member.port).names("/"))


def play(members):
    """Kills leaders and wipes disks under load; what is wrong in the end."""
    for member in members:
        member.start()
    wait_until(lambda: serving(members), "the members do not find together")
    Client(members[0].port).create("/hot")
    load, led = Load(members), []
    for turn in range(ROUNDS):
        load.wait_for(200)
        leader = next((member for member in members if member.mode() == "leader"), members[0])
        led.append(leader.kind)
        leader.end(signal.SIGTERM if turn % 3 == 2 else signal.SIGKILL)
        if turn % 2 == 1:
            shutil.rmtree(os.path.join(leader.home, "data", "version-2"))
        load.wait_for(50)
        leader.start()
        wait_until(lambda: serving(members), f"server {leader.number} does not come back")
    time.sleep(1)
    before = mismatches(members)
    load.wait_for(200)
    after = mismatches(members)
    load.end()
    wait_until(lambda: no_ephemerals(members), "sessions do not end")
    trees = [Client(member.port).tree() for member in members]
    wrong = [] if before == after else [f"digest mismatches grow from {before} to {after}"]
    for member, tree in zip(members, trees):
        lost = [path for path in load.acknowledged if path not in tree]
        if lost:
            wrong.append(f"server {member.number} ({member.kind}) lost {len(lost)}, such as {lost[0]}")
        if tree != trees[0]:
            wrong.append(f"server {member.number} ({member.kind}) has another tree than server 1")
    wrong += compare_digests(members)
    print(f"  leaders killed: {' '.join(led)}; acknowledged writes: {len(load.acknowledged)}")
    return wrong


def main():
    oxherd, out, *releases = sys.argv[1:]
    passed = failed = 0
    for release in releases:
        with open(os.path.join(out, f"{release}.class-path")) as file:
            class_path = file.read().strip()
        for mix in MIXES.split():
            home = os.path.join(out, f"{release}-{mix.replace(',', '-')}")
            shutil.rmtree(home, ignore_errors=True)
            members = members_of(mix, oxherd, home, class_path)
            try:
                wrong = play(members)
            except (OSError, ValueError) as error:
                wrong = [repr(error)]
            finally:
                for member in members:
                    member.end()
            with open(os.path.join(out, "results.tsv"), "a") as results:
                results.write(f"{'FAIL' if wrong else 'PASS'}\t{release} {mix}\n")
            print(f"{'FAILED' if wrong else 'ok'} {release} {mix} {'; '.join(wrong)}", flush=True)
            passed, failed = passed + (not wrong), failed + bool(wrong)
    print(f"mixed: {passed} passed, {failed} failed, 0 skipped")
    sys.exit(failed > 0)


main()
