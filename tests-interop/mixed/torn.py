"""Changes of the ensemble during which a server is killed: such a change is done or it is not, for all alike.

torn.py OXHERD OUT RELEASE...   OUT/RELEASE.class-path holds a release's class path. A server is killed as soon as it
has written down what is proposed, or what is in force.
"""
import os
import shutil
import signal
import struct
import sys
import threading
import time

from load import Load
from members import Client, compare_digests, text, wait_until
from reconfig import Ensemble, server_lines, wrong_files
from story import home_of, releases, tell

MIXES = os.environ.get("TORN", "ox,java,ox,java java,ox,java,ox").split()
STAY, JOINS = [1, 2, 3], 4
# One after the other, so that server 4 comes and goes.
KILLS = [("leader", "proposed"), ("bystander", "proposed"), ("joiner", "proposed"), ("leader", "in force"),
         ("joiner", "in force"), ("bystander", "in force")]
SPIN_S = 0.0005


def files(member):
    return {name for name in os.listdir(member.home) if name.startswith("zoo.cfg.dynamic.")}


class Change(threading.Thread):
    """One request that adds server 4 or removes it; whatever comes of it."""

    def __init__(self, ensemble, client, is_there):
        super().__init__(daemon=True)
        specs = [ensemble.spec(number) for number in STAY + [JOINS]]
        self.before, self.after = (specs, specs[:3]) if is_there else (specs[:3], specs)
        self.asked = {"leaving": str(JOINS)} if is_there else {"joining": specs[3]}
        three = [self.asked.get(name) for name in ("joining", "leaving", "members")]
        self.body = b"".join(each and text(each) or struct.pack(">i", -1) for each in three)
        self.client, self.outcome = client, None
        self.start()

    def run(self):
        try:
            self.outcome = self.client.call(16, self.body + struct.pack(">q", -1))[0]
        except OSError as error:
            self.outcome = error


def kill_when(member, moment, change):
    """Ends a server at the moment that its files show; the file that showed it."""
    before, end = files(member), time.monotonic() + 20
    while True:
        new = sorted(files(member) - before)
        wanted = [name for name in new if moment == "proposed" or not name.endswith((".next", ".tmp"))]
        if wanted:
            member.end(signal.SIGKILL)
            return wanted[-1]
        if time.monotonic() > end:
            raise TimeoutError(f"server {member.number} ({member.kind}) hears of no change: {change.outcome}")
        time.sleep(SPIN_S)


def unsettled(ensemble, numbers, choices):
    """What is missing until all show the same one of the choices."""
    configs = [ensemble.config(number) or "" for number in numbers]
    same = all(config == configs[0] for config in configs)
    return None if same and server_lines(configs[0]) in map(sorted, choices) else f"{numbers} show {configs}"


def is_done(ensemble, numbers, change):
    """What came of a change, once those who live serve and agree on it."""
    wait_until(lambda: not unsettled(ensemble, numbers, (change.before, change.after)),
               lambda: unsettled(ensemble, numbers, (change.before, change.after)))
    return server_lines(ensemble.config(numbers[0])) == sorted(change.after)


def there(ensemble):
    return sorted(ensemble.members)


def go_on(ensemble, load, numbers):
    """All of them serve, and take writes since."""
    ensemble.wait_for(numbers)
    wait_until(lambda: ensemble.leader() in numbers, lambda: f"nobody of {numbers} leads")
    load.members = ensemble.running(numbers)
    load.wait_for(100)


def part(ensemble):
    """Server 4 is known to nobody any more."""
    ensemble.members.pop(JOINS).end()
    shutil.rmtree(os.path.join(ensemble.out, str(JOINS)))


def arrive(ensemble):
    ensemble.begin([JOINS], STAY)
    ensemble.wait_for([JOINS])


def force(ensemble, load, change):
    """What was not done is done now, and stands in everybody's files."""
    via = next(number for number in STAY if number != ensemble.leader())
    if server_lines(ensemble.config(via)) != sorted(change.after):
        ensemble.reconfig(via, **change.asked)
    wanted = STAY + [JOINS] if len(change.after) > len(STAY) else STAY
    if JOINS not in wanted and JOINS in ensemble.members:
        part(ensemble)
    wait_until(lambda: not unsettled(ensemble, wanted, [change.after]),
               lambda: unsettled(ensemble, wanted, [change.after]))
    config = ensemble.config(wanted[0])
    for number in wanted:
        wait_until(lambda: not wrong_files(ensemble, number, config),
                   lambda: f"{number}: {wrong_files(ensemble, number, config)}")
    go_on(ensemble, load, wanted)


def resume(member, joins):
    """Starts a server again. One that joins has learned the log from its beginning, with the change that took its number out
    before, and neither kind starts on an ensemble without itself: the operator gives it the joiner's file again."""
    if joins and member.number == JOINS:
        member.configure()
    member.start()


def tear(ensemble, load, role, moment):
    """One change with one kill; server 4 joins when it is not there, and leaves when it is."""
    is_there = JOINS in ensemble.members
    if not is_there:
        arrive(ensemble)
    leader = ensemble.leader()
    bystander, via = [number for number in STAY if number != leader][:2]
    victim = ensemble.members[{"leader": leader, "joiner": JOINS, "bystander": bystander}[role]]
    change = Change(ensemble, Client(ensemble.members[via].port), is_there)
    shown = kill_when(victim, moment, change)
    change.join(30)
    rest = [number for number in STAY if number != victim.number]
    go_on(ensemble, load, rest)
    done = is_done(ensemble, rest, change)
    if role != "leader":
        assert done, f"a living leader did not carry a change out: {change.outcome}"
    if done and is_there:
        part(ensemble)
    if victim.number in ensemble.members:
        resume(victim, not is_there)
    go_on(ensemble, load, there(ensemble))
    assert is_done(ensemble, there(ensemble), change) == done, f"done is no more {done}"
    print(f"  {role} {victim.number} ({victim.kind}) killed as it had {shown}, led by {leader} "
          f"({ensemble.kinds[leader - 1]}): {'done' if done else 'not done'}, told {change.outcome}", flush=True)
    force(ensemble, load, change)


def forget(ensemble, load):
    """A leader proposes a change that nobody else hears of, and is killed: the change never was."""
    arrive(ensemble)
    leader = ensemble.leader()
    others = [number for number in STAY + [JOINS] if number != leader]
    # A session begins while there is a quorum.
    client = Client(ensemble.members[leader].port)
    for member in ensemble.running(others):
        member.halt()
    change = Change(ensemble, client, False)
    shown = kill_when(ensemble.members[leader], "proposed", change)
    for member in ensemble.running(others):
        member.end()
        resume(member, True)
    change.join(30)
    go_on(ensemble, load, others)
    assert not is_done(ensemble, others, change), "a change is done that nobody has heard of"
    ensemble.members[leader].start()
    go_on(ensemble, load, there(ensemble))
    assert not is_done(ensemble, there(ensemble), change), "a change is done that was forgotten"
    print(f"  lone leader {leader} ({ensemble.kinds[leader - 1]}) killed as it had {shown}: not done", flush=True)
    force(ensemble, load, change)


def settled(members):
    """The tree of all; sessions of killed servers' clients may end meanwhile, with their nodes."""
    trees = []

    def alike():
        trees[:] = [Client(member.port).tree() for member in members]
        return all(tree == trees[0] for tree in trees)

    wait_until(alike, lambda: f"trees differ from server {members[0].number}'s: "
               f"{[member.number for member, tree in zip(members, trees) if tree != trees[0]]}")
    return trees[0]


def play(ensemble):
    for number in STAY:
        ensemble.start(number, STAY)
    ensemble.wait_for(STAY)
    Client(ensemble.members[1].port).create("/hot")
    load = Load(ensemble.running(STAY))
    try:
        for role, moment in KILLS:
            tear(ensemble, load, role, moment)
        forget(ensemble, load)
    finally:
        load.end()
    members = ensemble.running(there(ensemble))
    tree = settled(members)
    lost = [path for path in load.acknowledged if path not in tree]
    wrong = [f"lost {len(lost)}, such as {lost[0]}"] if lost else []
    return wrong + compare_digests(members)


def main():
    for release, class_path in releases():
        for mix in MIXES:
            title = f"{release} changes are done or not, {mix}"
            ensemble = Ensemble(mix + ",ox", sys.argv[1], home_of(title), class_path)
            tell(title, lambda each=ensemble: list(each.members.values()), lambda each=ensemble: play(each))


main()
