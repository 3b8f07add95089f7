"""A session that wanders between servers of both kinds while each of them leads in turn.

sessions.py OXHERD OUT RELEASE...   OUT/RELEASE.class-path holds a release's class path.
"""
import os
import struct
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../both-ways"))

import wire  # noqa: E402
from members import Client  # noqa: E402
from story import commands, compare, home_of, lead, leader_of, members_of, releases, tell, wait_for  # noqa: E402

MIXES = ["java,java,ox", "java,ox,ox"]
TIMEOUT_MS, SYNC, SET_WATCHES, MOVED = 60000, 9, 101, -118
DATA_CHANGED, CHILDREN_CHANGED = (3, "/watched"), (4, "/watched")


class Wanderer:
    """A session with an ephemeral node and watches, and another client that changes what is watched."""

    def __init__(self, members):
        self.members, self.wrong, self.children, self.hops = members, [], 0, 0
        self.at = members[0]
        self.session = wire.Session(self.at.port, TIMEOUT_MS)
        self.session.create("/watched")
        self.session.create("/mine", flags=wire.EPHEMERAL)
        self.known = self.session.id, self.session.password
        self.watch()

    def expect(self, what, wanted, got):
        if got != wanted:
            where = f"at server {self.at.number} ({self.at.kind}), led by {leader_of(self.members).kind}"
            self.wrong.append(f"{what} {where}: {got}, and not {wanted}")

    def watch(self):
        for operation in (wire.GET_DATA, wire.CHILDREN2):
            self.session.ask(operation, wire.text("/watched") + b"\1")

    def seen(self):
        """What the watches saw of all that others have done so far."""
        self.session.ask(SYNC, wire.text("/"))
        events, self.session.events = self.session.events, []
        return sorted(events)

    def refused(self, session):
        """A session that is elsewhere by now writes nothing."""
        try:
            session.set("/mine", b"from where it was")
        except (wire.Refused, wire.Lost) as error:
            return error.args in ((), (MOVED,))
        return False

    def go(self, to):
        """Takes the session up at another server; what changed in between is told there, and what changes later."""
        left, other = self.session, wire.Session(self.at.port)
        other.set("/watched", b"in between")
        self.at, self.hops = to, self.hops + 1
        # First, for a Java server that hears a session's id cuts its link to it, and only then looks at the password.
        self.expect("without its password the session is guarded:", True, self.is_guarded())
        self.session = wire.Session(to.port, TIMEOUT_MS, self.known)
        self.expect("the session is", self.known, (self.session.id, self.session.password))
        # Java: ClientCnxn.SendThread.primeConnection
        paths = struct.pack(">i", 1) + wire.text("/watched")
        self.session.ask(SET_WATCHES, struct.pack(">q", left.zxid) + paths + struct.pack(">i", 0) + paths, xid=-8)
        self.expect("after the move the watches see", [DATA_CHANGED], self.seen())
        self.watch()
        other.set("/watched", b"later")
        other.create(f"/watched/{self.children}")
        self.children += 1
        self.expect("later the watches see", [DATA_CHANGED, CHILDREN_CHANGED], self.seen())
        self.watch()
        self.session.set("/mine", str(self.hops).encode())
        self.expect("the old link is refused", True, self.refused(left))
        self.expect("the ephemeral node is", (str(self.hops).encode(), self.known[0]), self.mine())
        other.close()
        left.drop()

    def mine(self):
        data, stat = self.session.get("/mine")
        return data, stat[7]

    def is_guarded(self):
        try:
            return wire.Session(self.at.port, TIMEOUT_MS, (self.known[0], b"0123456789abcdef")).id == 0
        except wire.Lost:
            return True

    def close(self):
        self.session.close()
        for member in self.members:
            tree = Client(member.port).tree()
            if "/mine" in tree:
                self.wrong.append(f"the ephemeral node outlives its session on server {member.number}")


def play(members):
    for member in members:
        member.start()
    wait_for(members)
    wanderer = Wanderer(members)
    for leader in members:
        lead(members, leader)
        for to in members[1:] + members[:1]:
            wanderer.go(to)
        print(f"  led by {leader.kind}, {wanderer.hops} moves", flush=True)
    wanderer.close()
    return wanderer.wrong + compare(members)


def main():
    for release, class_path in releases():
        for mix in MIXES:
            title = f"{release} a session wanders, {mix}"
            members = members_of(mix.split(","), home_of(title), commands(sys.argv[1], class_path),
                                 "maxSessionTimeout=60000\nskipACL=yes\n")
            tell(title, lambda members=members: members, lambda members=members: play(members))


main()
