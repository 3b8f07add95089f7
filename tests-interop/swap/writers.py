"""Writers of known values while servers are exchanged: what was acknowledged, when, and what a session must see."""
import json
import subprocess
import threading
import time

import wire

TIMEOUT_MS, PAUSE_S, ROUND_LIMIT = 15000, 0.004, 10
UNKNOWN, EXISTS = -101, -110
PING, PING_XID, PING_S = 11, -2, 1


class Writer:
    """One session that starts at a server of its own and moves on when its link is lost, as clients do."""

    def __init__(self, name, ports, home):
        self.name, self.ports, self.home, self.at = name, ports, home, home
        self.session, self.key = None, (0, bytes(16))
        self.value, self.doubts, self.acks, self.created, self.wrong = 0, 0, [], {}, set()
        self.paused, self.idle, self.resumed, self.over = threading.Event(), threading.Event(), threading.Event(), False
        self.attach()
        self.session.create(f"/writer-{name}", b"0")
        self.session.create(f"/ephemeral-{name}", b"", flags=wire.EPHEMERAL)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def attach(self):
        session = wire.Session(self.ports[self.at], TIMEOUT_MS, self.key)
        session.link.settimeout(TIMEOUT_MS / 1000)
        if session.timeout_ms <= 0:
            self.wrong.add(f"writer {self.name}: its session is lost")
            self.key = (0, bytes(16))
            raise wire.Lost
        if self.key[0] not in (0, session.id):
            self.wrong.add(f"writer {self.name}: session {self.key[0]:x} became {session.id:x}")
        self.session, self.key = session, (session.id, session.password)

    def move(self):
        """Attaches to the next server that serves."""
        self.session = None
        turn = 0
        while not self.session and not self.over:
            self.at = (self.at + 1) % len(self.ports)
            try:
                self.attach()
                self.session.ask(9, wire.text("/"))
            except (wire.Lost, wire.Refused):
                self.session = None
                turn += 1
                if turn % len(self.ports) == 0:
                    time.sleep(0.01)

    def go_home(self):
        self.session.drop()
        self.at = self.home - 1
        self.move()

    def run(self):
        while not self.over:
            if self.paused.is_set():
                self.rest()
                continue
            try:
                self.round()
            except Exception as error:
                self.wrong.add(f"writer {self.name}: {error!r}")
                time.sleep(0.1)
            time.sleep(PAUSE_S)

    def rest(self):
        """Holds still, but keeps its session alive: on a busy machine a comparison takes longer than the timeout."""
        self.idle.set()
        while self.paused.is_set() and not self.over:
            try:
                self.session.ask(PING, xid=PING_XID)
            except wire.Lost:
                self.move()
            self.resumed.wait(PING_S)
        if not self.over:
            self.go_home()

    def round(self):
        self.value += 1
        self.set(self.value)
        if self.value % ROUND_LIMIT == 0:
            self.create(self.value)

    def set(self, value):
        path, data = f"/writer-{self.name}", str(value).encode()
        while not self.over:
            try:
                self.session.set(path, data)
                self.acks.append(time.monotonic())
                return
            except wire.Lost:
                self.doubts += 1
                self.move()
            except wire.Refused as refused:
                if refused.args[0] not in (-118, -112, -4):
                    raise
                self.doubts += 1
                self.move()
            if self.over or self.found(path, value):
                return

    def found(self, path, value):
        """Whether the write in doubt was carried out; an earlier value than the last acknowledged is a loss."""
        while not self.over:
            try:
                now = int(self.session.get(path)[0])
            except (wire.Lost, wire.Refused):
                self.move()
                continue
            if now not in (value, value - 1):
                self.wrong.add(f"writer {self.name}: {value - 1} was acknowledged, {now} is there")
            if now == value:
                self.acks.append(time.monotonic())
            return now == value
        return False

    def create(self, value):
        path = f"/made/{self.name}-{value}"
        while not self.over:
            try:
                name = self.session.create(path + "-", str(value).encode(), flags=wire.SEQUENTIAL)
                if self.created and int(name[-10:]) <= max(self.created.values()):
                    self.wrong.add(f"{name} follows {max(self.created.values())}")
                self.created[name] = int(name[-10:])
                self.acks.append(time.monotonic())
                return
            except (wire.Lost, wire.Refused):
                self.doubts += 1
                self.move()

    def pause(self):
        self.idle.clear()
        self.resumed.clear()
        self.paused.set()
        if not self.idle.wait(90):
            self.wrong.add(f"writer {self.name} hangs")

    def resume(self):
        self.paused.clear()
        self.resumed.set()

    def end(self):
        self.over = True
        self.thread.join(60)
        if self.session:
            self.session.drop()

    def check(self, tree):
        """What one member's tree says of this writer's acknowledged writes."""
        wrong = [f"{path} was acknowledged and is not there" for path in self.created if path not in tree][:3]
        data, stat = tree.get(f"/writer-{self.name}", (b"-1", None))[:2]
        if int(data) != self.value:
            wrong.append(f"writer {self.name}: {self.value} was acknowledged, {int(data)} is there")
        elif not self.value <= stat[4] <= self.value + self.doubts:
            wrong.append(f"writer {self.name}: {self.value} writes made version {stat[4]}")
        owner = tree.get(f"/ephemeral-{self.name}", (b"", (0,) * 11))[1][7]
        if owner != self.key[0]:
            wrong.append(f"writer {self.name}: its ephemeral node is owned by {owner:x}")
        return wrong


def gaps(writers, begun, ended):
    """Seconds without an acknowledged write between two moments: of the ensemble, and of the unluckiest writer."""
    def longest(acks):
        inside = [begun] + sorted(ack for ack in acks if begun < ack < ended) + [ended]
        return max(after - before for before, after in zip(inside, inside[1:]))

    return longest([ack for writer in writers for ack in writer.acks]), max(longest(w.acks) for w in writers)


class Program:
    """Clients in a process of their own, that take the lines pause, resume, tell and stop."""

    def __init__(self, command, log):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        self.counts, self.wrong, self.name = {}, set(), command[0].rsplit("/", 1)[-1]

    def order(self, line):
        """Sends a line; keeps what the answer counts and finds wrong. Bounded: a hanging client is ended."""
        watchdog = threading.Timer(120, self.process.kill)
        watchdog.start()
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            for answer in self.process.stdout:
                answer = answer.strip()
                if answer == "end":
                    return
                if answer.startswith("counts:"):
                    self.counts = {k: int(v) for k, v in (pair.split("=") for pair in answer.split()[1:])}
                elif answer.startswith("wrong:"):
                    self.wrong.add(answer[7:])
            self.wrong.add(f"{self.name} ended at {line}")
        except OSError as error:
            self.wrong.add(f"{self.name} has ended: {error}")
        finally:
            watchdog.cancel()

    def end(self):
        self.process.kill()
        self.process.wait()


def save(path, row):
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
