"""kazoo while servers are exchanged: one lock, a counter under it, and watches that follow nodes.

kazoo_clients.py HOSTS. Reads the lines pause, resume, tell and stop; answers each with one line `counts: name=count ...`, then
`wrong: ...` lines and a line `end`.
"""
import collections
import sys
import threading
import time

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import BadVersionError, ConnectionLoss, SessionExpiredError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.connection import ConnectionDropped
from kazoo.retry import KazooRetry

TIMEOUT_S, WATCHED, PATIENCE_S = 15, 6, 30
counts, wrong = collections.Counter(), set()
over, rounds = threading.Event(), threading.Condition()
running, paused = 0, False


def client(hosts, name):
    """A client whose session must be the same in the end."""
    retry = KazooRetry(max_tries=-1, delay=0.02, max_delay=0.1)
    again = KazooRetry(max_tries=-1, delay=0.02, max_delay=0.1)
    made = KazooClient(hosts, timeout=TIMEOUT_S, connection_retry=retry, command_retry=again)

    def note(state):
        if state == KazooState.LOST and not over.is_set():
            wrong.add(f"{name}: its session is lost")

    made.add_listener(note)
    made.start(PATIENCE_S)
    return made


def loop(name, act):
    def run():
        global running
        while not over.is_set():
            with rounds:
                rounds.wait_for(lambda: not paused)
                running += 1
            try:
                act()
            except (ConnectionLoss, ConnectionDropped, KazooTimeoutError):
                counts["retries"] += 1
            except SessionExpiredError:
                wrong.add(f"{name}: its session is lost")
            except Exception as error:
                wrong.add(f"{name}: {error!r}")
            finally:
                with rounds:
                    running -= 1
                    rounds.notify_all()

    threading.Thread(target=run, name=name, daemon=True).start()


class Locker:
    """Enters, adds one to a counter as only a holder may, leaves."""

    holder = None

    def __init__(self, hosts, name):
        self.client, self.name = client(hosts, name), name
        self.lock = self.client.Lock("/kazoo/lock", name)

    def round(self):
        if not self.lock.acquire(timeout=60):
            wrong.add(f"{self.name}: the lock is stuck")
            return
        try:
            if Locker.holder:
                wrong.add(f"the lock is held by {Locker.holder} and {self.name}")
            Locker.holder = self.name
            self.add()
            counts["locks"] += 1
        finally:
            Locker.holder = None
            self.lock.release()
        time.sleep(0.005)

    def add(self):
        data, stat = self.client.retry(self.client.get, "/kazoo/counter")
        mine = f"{int(data.split()[0]) + 1} {self.name}".encode()
        try:
            self.client.retry(self.client.set, "/kazoo/counter", mine, stat.version)
        except BadVersionError:
            # A write is sent again when the link is lost; the first may have been carried out.
            if self.client.retry(self.client.get, "/kazoo/counter")[0] != mine:
                wrong.add(f"the counter was changed under the lock of {self.name}")


class Watches:
    """Data watches follow nodes that another session changes."""

    def __init__(self, hosts):
        self.watcher, self.changer = client(hosts, "watcher"), client(hosts, "changer")
        self.seen, self.turn = {}, 0
        for number in range(WATCHED):
            self.changer.ensure_path(f"/kazoo/watched/{number}")
            self.watcher.DataWatch(f"/kazoo/watched/{number}", self.follower(number))

    def follower(self, number):
        return lambda data, stat: self.note(number, stat)

    def note(self, number, stat):
        counts["events"] += 1
        if stat.version < self.seen.get(number, 0):
            wrong.add(f"watched node {number} goes back from version {self.seen[number]} to {stat.version}")
        self.seen[number] = stat.version

    def round(self):
        self.turn += 1
        self.changer.set(f"/kazoo/watched/{self.turn % WATCHED}", b"x")
        time.sleep(0.015)

    def compare(self):
        end = time.monotonic() + PATIENCE_S
        for number in range(WATCHED):
            last = self.changer.retry(self.changer.get, f"/kazoo/watched/{number}")[1].version
            while self.seen.get(number) != last and time.monotonic() < end:
                time.sleep(0.01)
            if self.seen.get(number) != last:
                wrong.add(f"no event after version {self.seen.get(number)} of watched node {number}, which has {last}")


def answer():
    print("counts:", *(f"{name}={count}" for name, count in sorted(counts.items())))
    for line in sorted(wrong):
        print("wrong:", line)
    print("end", flush=True)


def pause():
    global paused
    with rounds:
        paused = True
        if not rounds.wait_for(lambda: running == 0, 90):
            wrong.add("a client hangs")


def resume():
    global paused
    with rounds:
        paused = False
        rounds.notify_all()


def main():
    hosts = sys.argv[1]
    first = client(hosts, "first")
    first.ensure_path("/kazoo")
    first.create("/kazoo/counter", b"0")
    lockers = [Locker(hosts, f"kazoo{number}") for number in range(2)]
    watches = Watches(hosts)
    clients = [first, watches.watcher, watches.changer] + [locker.client for locker in lockers]
    first.create("/kazoo/alive", b"", ephemeral=True)
    sessions = [each.client_id[0] for each in clients]
    for locker in lockers:
        loop(locker.name, locker.round)
    loop("changer", watches.round)
    for line in sys.stdin:
        if line.strip() == "pause":
            pause()
        elif line.strip() == "resume":
            resume()
        elif line.strip() != "tell":
            watches.compare()
            if [each.client_id[0] for each in clients] != sessions:
                wrong.add("a session is another than in the beginning")
            if first.retry(first.exists, "/kazoo/alive").owner_session_id != sessions[0]:
                wrong.add("an ephemeral node changed its owner")
            over.set()
            answer()
            return
        answer()


main()
