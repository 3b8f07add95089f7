"""How a server that was away is brought to its leader's history: DIFF, TRUNC and SNAP, between the kinds.

sync.py OXHERD OUT RELEASE...   OUT/RELEASE.class-path holds a release's class path. Server 3 is of the one kind and the
two that lead it of the other. What was chosen is read off the logs.
"""
import glob
import os
import struct
import sys

from members import Client, text, wait_until
from story import all_serve, commands, compare, home_of, leader_of, members_of, releases, tell, wait_for

LATE, KEPT = 3, 500
TALKATIVE = "-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper.server.quorum.LearnerHandler=debug"
# A leader keeps the last 500 txns at hand. Below 0 it never reads older ones from its files.
FILES_ARE_READ, NO_FILES = "snapshotSizeFactor=1000\n", "snapshotSizeFactor=-1\n"
# What a Java leader says of its choice, and a Java learner of what it got.
# Java: LearnerHandler.syncFollower, LearnerHandler.run, Learner.syncWithLeader
SENDS = {"DIFF": b"Sending DIFF", "TRUNC": b"Sending TRUNC", "SNAP": b"Sending snapshot"}
GETS = {"DIFF": b"Getting a diff", "TRUNC": b"Truncating log", "SNAP": b"Getting a snapshot"}
# What Oxherd says, of an empty log too; it does not mention a DIFF.
OUR_LEADER = {"SNAP": b"sent the tree to a learner"}
OUR_LEARNER = {"TRUNC": b"cutting the log", "SNAP": b"the leader's tree is in place"}
COUNTED = {"DIFF": "zk_diff_count", "TRUNC": "zk_diff_count", "SNAP": "zk_snap_count"}


class Play:
    def __init__(self, members):
        self.members, self.late, self.wrong = members, members[LATE - 1], []
        self.rest = [member for member in members if member is not self.late]
        self.written = self.lost = 0

    def write(self, count):
        """Acknowledged by a leader of the other kind, or by whoever leads."""
        client = Client(leader_of(self.members).port, 60000)
        for _ in range(count):
            self.wrong += [f"error {error} for a create" for error in [client.create(f"/n{self.written}")] if error]
            self.written += 1

    def let_late_lead(self):
        """All hold the same txns, so the highest number is elected once nobody leads any more."""
        first, second = self.rest
        for member in self.members:
            member.end()
        self.late.start()
        first.start()
        wait_until(lambda: self.late.mode() == "leader" and first.mode() == "follower", "server 3 is not elected")
        second.start()
        wait_for(self.members)

    def log_alone(self, settings):
        """The leader logs txns that nobody else will ever hear of; then all are dead."""
        self.let_late_lead()
        self.write(5)
        client, name = Client(self.late.port, 60000), f"lost{self.lost}-"
        for member in self.rest:
            member.halt()
        for number in range(10):
            body = text(f"/{name}{number}") + text(b"") + Client.OPEN + struct.pack(">i", 0)
            client.send(struct.pack(">ii", number + 1, 1) + body)
        wait_until(lambda: logs_hold(self.late, f"/{name}9"), "the lone leader does not log")
        # A stopped server has the proposals in its sockets: it must never go on.
        for member in self.members:
            member.end()
            member.configure(settings)
        self.lost += 1

    def rejoin(self, kind):
        """Server 3 comes back, and is brought up in this way and no other."""
        wait_until(lambda: all_serve(self.rest), "the others do not elect a leader")
        leader = leader_of(self.rest)
        said = [counts_of(leader), counts_of(self.late)]
        counted = {name: int(leader.metric(name)) for name in COUNTED.values()}
        self.late.start()
        wait_for(self.members)
        words = [(SENDS, GETS), (OUR_LEADER, OUR_LEARNER)]
        for member, before, table in zip((leader, self.late), said, (0, 1)):
            mine = words[member.kind == "ox"][table]
            self.expect(member, {mine.get(kind)} - {None}, new_words(before, counts_of(member), mine))
        counted = {name for name in counted if int(leader.metric(name)) > counted[name]}
        if counted != {COUNTED[kind]}:
            self.wrong.append(f"for a {kind} the leader ({leader.kind}) counts {counted}")
        print(f"  {kind} from {leader.kind} to {self.late.kind}", flush=True)

    def expect(self, member, wanted, said):
        if said != wanted:
            self.wrong.append(f"server {member.number} ({member.kind}) says {said}, and not {wanted}")

    def away(self, count, kind):
        self.late.end()
        wait_until(lambda: all_serve(self.rest), "the others do not go on")
        self.write(count)
        self.rejoin(kind)


WORDS = {word for table in (SENDS, GETS, OUR_LEADER, OUR_LEARNER) for word in table.values()}


def counts_of(member):
    log = member.logged()
    return {word: log.count(word) for word in WORDS}


def new_words(before, after, mine):
    return {word for word in mine.values() if after[word] > before[word]}


def logs_hold(member, path):
    def holds(name):
        with open(name, "rb") as log:
            return path.encode() in log.read()
    return any(holds(name) for name in glob.glob(os.path.join(member.home, "data", "version-2", "log.*")))


def play(members):
    story = Play(members)
    for member in members:
        member.configure(FILES_ARE_READ)
    story.log_alone(FILES_ARE_READ)
    for member in story.rest:
        member.start()
    # Nobody has written since, so its own last txn is the newest of all: it can be cut.
    story.rejoin("TRUNC")
    story.away(50, "DIFF")
    story.away(KEPT + 50, "DIFF")
    story.log_alone(NO_FILES)
    for member in story.rest:
        member.start()
    wait_until(lambda: all_serve(story.rest), "the others do not elect a leader")
    story.write(5)
    # Its txns lie beside a new epoch's now; no log is cut across epochs.
    story.rejoin("SNAP")
    story.away(KEPT + 50, "SNAP")
    story.wrong += compare(members)
    tree = Client(story.late.port).tree()
    story.wrong += [f"{path} was never acknowledged" for path in tree if path.startswith("/lost")]
    story.wrong += [f"/n{n} is lost" for n in range(story.written) if f"/n{n}" not in tree]
    return story.wrong


def main():
    oxherd, *_ = sys.argv[1:]
    for release, class_path in releases():
        for leads, learns in (("ox", "java"), ("java", "ox")):
            title = f"{release} DIFF, TRUNC and SNAP from {leads} to {learns}"
            lines = "maxSessionTimeout=60000\npreAllocSize=1024\n"
            members = members_of([leads, leads, learns], home_of(title), commands(oxherd, class_path, TALKATIVE), lines)
            tell(title, lambda members=members: members, lambda members=members: play(members))


main()
