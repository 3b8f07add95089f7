"""Members that change their role and their ports while another kind leads.

places.py OXHERD OUT RELEASE...   OUT/RELEASE.class-path holds a release's class path.
"""
import os
import sys

from load import Load
from members import Client, compare_digests, free_ports, wait_until
from reconfig import Ensemble, server_lines, wrong_files
from story import home_of, lead, releases, tell

MIXES = os.environ.get("PLACES", "ox,java,java ox,ox,java").split()
ALL, LEADS, CHANGES = [1, 2, 3], 1, 3


def agreed(ensemble, wanted):
    """Every server shows the wanted ensemble and has it in its files, and one of them leads."""
    configs = [ensemble.config(number) or "" for number in ALL]
    if any(config != configs[0] or server_lines(config) != sorted(wanted) for config in configs):
        return f"not all are at {wanted}: {configs}"
    roles = ["observer" if line.split(":")[3].startswith("observer") else "voter" for line in sorted(wanted)]
    modes = [member.mode() for member in ensemble.running(ALL)]
    fits = {"observer": ("observer",), "voter": ("leader", "follower")}
    if modes.count("leader") != 1 or any(mode not in fits[role] for mode, role in zip(modes, roles)):
        return f"they are {modes}, and not {roles}"
    return next((wrong for number in ALL if (wrong := wrong_files(ensemble, number, configs[0]))), None)


def change(ensemble, load, via, joining, what):
    """One change; it has come about when all agree and each of them takes writes."""
    wanted = [ensemble.spec(number) for number in ALL if number != joining[0]] + [ensemble.spec(*joining)]
    load.members = ensemble.running([via])
    told = ensemble.reconfig(via, joining=ensemble.spec(*joining))
    assert server_lines(told) == sorted(wanted), told
    ensemble.members[joining[0]].port = ensemble.clients[joining[0] - 1]
    wait_until(lambda: not agreed(ensemble, wanted), lambda: f"{what}: {agreed(ensemble, wanted)}")
    for number in ALL:
        load.members = ensemble.running([number])
        load.wait_for(20)
    leads = ensemble.members[ensemble.leader()]
    print(f"  {what}: led by {leads.number} ({leads.kind})", flush=True)


def move(ensemble, number):
    """Other ports of a server; its old client port."""
    old = ensemble.clients[number - 1]
    *ensemble.peers[2 * number - 2:2 * number], ensemble.clients[number - 1] = free_ports(3)
    return old


def is_left(ensemble, number, port):
    """Nobody answers at the port that a server has left."""
    member = ensemble.members[number]
    now, member.port = member.port, port
    answer, member.port = member.word("ruok"), now
    return not answer


def play(ensemble):
    for number in ALL:
        ensemble.start(number, ALL)
    ensemble.wait_for(ALL)
    lead(ensemble.running(ALL), ensemble.members[LEADS])
    Client(ensemble.members[LEADS].port).create("/hot")
    load = Load(ensemble.running(ALL))
    try:
        return steps(ensemble, load)
    finally:
        load.end()


def steps(ensemble, load):
    wrong = []
    change(ensemble, load, LEADS, (CHANGES, "observer"), "a follower becomes an observer")
    change(ensemble, load, 2, (CHANGES,), "an observer becomes a follower")
    old = move(ensemble, CHANGES)
    change(ensemble, load, LEADS, (CHANGES,), "a follower has other ports")
    wait_until(lambda: is_left(ensemble, CHANGES, old), "the follower still answers at its old port")
    assert ensemble.leader() == LEADS, f"server {ensemble.leader()} leads after changes of a follower"
    old = move(ensemble, LEADS)
    change(ensemble, load, CHANGES, (LEADS,), "the leader has other ports")
    wait_until(lambda: is_left(ensemble, LEADS, old), "the former leader still answers at its old port")
    if ensemble.leader() == LEADS:
        wrong.append("a leader whose ports change makes way for nobody")
    load.end()
    trees = [Client(member.port).tree() for member in ensemble.running(ALL)]
    wrong += [f"server {number} has another tree than server 1" for number, tree in zip(ALL, trees) if tree != trees[0]]
    lost = [path for path in load.acknowledged if path not in trees[0]]
    wrong += [f"lost {len(lost)}, such as {lost[0]}"] if lost else []
    return wrong + compare_digests(ensemble.running(ALL))


def main():
    for release, class_path in releases():
        for mix in MIXES:
            title = f"{release} roles and ports change, {mix}"
            ensemble = Ensemble(mix, sys.argv[1], home_of(title), class_path)
            tell(title, lambda each=ensemble: list(each.members.values()), lambda each=ensemble: play(each))


main()
