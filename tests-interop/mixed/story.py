"""A case of an ensemble told from its start to its end, and its line in the results."""
import os
import shutil
import signal
import subprocess
import sys
import traceback

from members import Client, Member, compare_digests, free_ports, wait_until

SERVE = ("leader", "follower", "observer")


def commands(oxherd, class_path, *options):
    java = ["java", "-Xmx300m", "-Dzookeeper.admin.enableServer=false", *options, "-cp", class_path,
            "org.apache.zookeeper.server.quorum.QuorumPeerMain"]
    return {"java": java, "ox": [oxherd, "serve"]}


def members_of(kinds, home, started_by, lines="", address=lambda n, peer, votes: f"127.0.0.1:{peer}:{votes}"):
    """Voters with numbers from 1 on."""
    ports = free_ports(3 * len(kinds))
    clients, peers = ports[:len(kinds)], ports[len(kinds):]
    lines += "".join(f"server.{n}={address(n, *peers[2 * n - 2:2 * n])}\n" for n in range(1, len(kinds) + 1))
    return [Member(n, kind, os.path.join(home, str(n)), clients[n - 1], lines, started_by[kind])
            for n, kind in enumerate(kinds, 1)]


def all_serve(members):
    modes = [member.mode() for member in members]
    return all(mode in SERVE for mode in modes) and modes.count("leader") == 1


def wait_for(members):
    wait_until(lambda: all_serve(members),
               lambda: f"the members do not find together: {[(m.number, m.kind, m.mode()) for m in members]}")


def leader_of(members):
    return next((member for member in members if member.process and member.mode() == "leader"), None)


def lead(members, wanted):
    """An Oxherd leader makes way on command. A Java leader is stopped while a third server lacks the last txn."""
    leader = leader_of(members)
    if leader is wanted:
        return
    if leader.kind == "ox":
        hosts = ",".join(f"127.0.0.1:{member.port}" for member in members)
        command = [sys.argv[1], "lead", "--to", str(wanted.number), "--server", hosts]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        assert asked.returncode == 0, asked.stderr
    else:
        third = next(member for member in members if member not in (leader, wanted))
        third.end(signal.SIGTERM)
        Client(leader.port).set("/", b"")
        leader.end(signal.SIGTERM)
        third.start()
        wait_until(lambda: wanted.mode() == "leader", f"server {wanted.number} is not elected")
        leader.start()
    wait_for(members)
    assert leader_of(members) is wanted, f"server {leader_of(members).number} leads, and not {wanted.number}"


def compare(members):
    """Where servers differ in nodes, stats and digests, once they have noted some."""
    client = Client(members[0].port)
    wrong = [error for number in range(130) if (error := client.set("/", str(number).encode()))]
    client.close()
    trees = [Client(member.port).tree() for member in members]
    wrong += [f"server {member.number} ({member.kind}) has another tree than server {members[0].number}"
              for member, tree in zip(members, trees) if tree != trees[0]]
    return wrong + compare_digests(members)


def releases():
    """The last of the arguments OXHERD OUT RELEASE... with its class path; each of them with FULL=1."""
    for release in sys.argv[3:] if os.environ.get("FULL") == "1" else sys.argv[-1:]:
        with open(os.path.join(sys.argv[2], f"{release}.class-path"), encoding="utf-8") as file:
            yield release, file.read().strip()


def tell(title, members, play):
    """Plays one case; whether nothing was wrong."""
    try:
        wrong = play()
    except Exception as error:
        wrong = [repr(error), traceback.format_exc()]
    finally:
        for member in members():
            member.end()
    with open(os.path.join(sys.argv[2], "results.tsv"), "a", encoding="utf-8") as results:
        results.write(f"{'FAIL' if wrong else 'PASS'}\t{title}\n")
    print(f"{'FAILED' if wrong else 'ok'} {title} {'; '.join(map(str, wrong[:5]))}", flush=True)
    return not wrong


def home_of(title):
    """An empty folder for a case."""
    home = os.path.join(sys.argv[2], "".join(c if c.isalnum() or c in ".-" else "-" for c in title))
    shutil.rmtree(home, ignore_errors=True)
    return home
