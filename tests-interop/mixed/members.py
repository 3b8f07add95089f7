"""Members of an ensemble as processes, and a client of a few operations."""
import os
import signal
import socket
import struct
import subprocess
import time

PATIENCE = 60
# A follower of ZooKeeper 3.9.5 that loses its leader under load may end itself: ZooKeeperServer.shutdown reads the log
# for its tree while CommitProcessor still applies a txn, and ZKDatabase.addCommittedProposal then misses that one.
OWN_END = b"Committed proposal cached out of order"
# A follower of ZooKeeper 3.8 falls over a COMMIT between NEWLEADER and UPTODATE (ZOOKEEPER-4394). It comes again and
# logs what was proposed once more; when its log is read, txns are applied twice and its list of digests is wrong.
FALLS_OVER_COMMIT = b'Cannot read field "hdr" because "pif" is null'
started = []


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Member:
    """A server, of Java or Oxherd, with a directory of its own."""

    def __init__(self, number, kind, home, port, lines, command):
        self.number, self.kind, self.port, self.home = number, kind, port, home
        self.process, self.command = None, command
        os.makedirs(os.path.join(home, "data"))
        with open(os.path.join(home, "data", "myid"), "w") as file:
            file.write(f"{number}\n")
        self.config = os.path.join(home, "zoo.cfg")
        self.settings = (f"tickTime=1000\ninitLimit=20\nsyncLimit=10\ndataDir={home}/data\nclientPort={port}\n"
                         "clientPortAddress=127.0.0.1\nmaxClientCnxns=0\n4lw.commands.whitelist=*\n"
                         f"admin.enableServer=false\n{lines}")
        self.configure()

    def configure(self, more=""):
        """Writes the file that the next start reads; `more` settings for it alone."""
        with open(self.config, "w") as file:
            file.write(self.settings + more)

    def start(self):
        with open(os.path.join(self.home, "log"), "ab") as log:
            self.process = subprocess.Popen(self.command + [self.config], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        if self not in started:
            started.append(self)

    def ended_itself(self):
        """Whether a Java server met the defect that `OWN_END` names; its whole log is looked at, it is short."""
        if self.kind != "java" or not self.process or self.process.poll() is None:
            return False
        return OWN_END in self.logged()

    def logged(self):
        """All that the server has said, at whichever start."""
        with open(os.path.join(self.home, "log"), "rb") as log:
            return log.read()

    def falls(self):
        """How often it fell over a COMMIT of its leader."""
        return self.logged().count(FALLS_OVER_COMMIT)

    def halt(self):
        """Stops all of its threads for good or until SIGCONT; none runs any more when this returns."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def end(self, how=signal.SIGKILL):
        if self.process:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None

    def word(self, word):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as link:
                link.sendall(word.encode())
                return b"".join(iter(lambda: link.recv(4096), b"")).decode()
        except OSError:
            return ""

    def mode(self):
        modes = [line[6:] for line in self.word("srvr").splitlines() if line.startswith("Mode: ")]
        return modes[0] if modes else None

    def metric(self, name):
        values = dict(line.split("\t", 1) for line in self.word("mntr").splitlines() if "\t" in line)
        return values.get(name)


def wait_until(condition, what):
    """`what` to say when it does not come about, or a function that tells."""
    end = time.monotonic() + PATIENCE
    while not condition():
        for member in filter(Member.ended_itself, started):
            # What a service manager does; nothing is asked less of it afterwards.
            print(f"  server {member.number} (java) ended itself: {OWN_END.decode()}; started again", flush=True)
            os.rename(os.path.join(member.home, "log"), os.path.join(member.home, "log.ended"))
            member.start()
        if time.monotonic() > end:
            raise TimeoutError(what() if callable(what) else what)
        time.sleep(0.05)


def digests(member):
    """What a server notes of its tree at every 128th txn."""
    return dict(line.split(": ", 1) for line in member.word("hash").splitlines() if ": " in line)


def unlike_digests(members):
    """Where servers noted different digests for one txn."""
    seen, wrong = {}, []
    for member in members:
        for zxid, digest in digests(member).items():
            other, theirs = seen.setdefault(zxid, (member.number, digest))
            if theirs != digest:
                wrong.append(f"the digests of servers {other} and {member.number} differ at zxid {zxid}")
    return wrong


def compare_digests(members):
    """What is wrong with the digests of those that can be judged by theirs; some have to be there."""
    judged = [member for member in members if not member.falls()]
    both = set.intersection(*[set(digests(member)) for member in judged]) if judged else judged
    lacking = [] if both or len(judged) < 2 else ["no txn's digest was noted by every server"]
    return (lacking + unlike_digests(judged))[:3]


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">i", len(data)) + data


class Client:
    """A session; one request at a time."""

    OPEN = struct.pack(">ii", 1, 31) + text("world") + text("anyone")

    def __init__(self, port, timeout_ms=10000):
        self.link = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.xid = 0
        self.send(struct.pack(">iqiq", 0, 0, timeout_ms, 0) + text(bytes(16)) + b"\0")
        self.receive()

    def send(self, body):
        self.link.sendall(struct.pack(">i", len(body)) + body)

    def take(self, count):
        data = b""
        while len(data) < count:
            more = self.link.recv(count - len(data))
            if not more:
                raise OSError("the server has closed the link")
            data += more
        return data

    def receive(self):
        return self.take(struct.unpack(">i", self.take(4))[0])

    def call(self, operation, body):
        self.xid += 1
        self.send(struct.pack(">ii", self.xid, operation) + body)
        while True:
            reply = self.receive()
            xid, _, error = struct.unpack(">iqi", reply[:16])
            if xid == self.xid:
                return error, reply[16:]

    def create(self, path, data=b"", flags=0):
        return self.call(1, text(path) + text(data) + self.OPEN + struct.pack(">i", flags))[0]

    def set(self, path, data):
        return self.call(5, text(path) + text(data) + struct.pack(">i", -1))[0]

    def sync(self):
        return self.call(9, text("/"))[0]

    def close(self):
        self.call(-11, b"")
        self.link.close()

    def names(self, path):
        error, body = self.call(8, text(path) + b"\0")
        if error:
            return []
        names, at = [], 4
        for _ in range(struct.unpack(">i", body[:4])[0]):
            length = struct.unpack(">i", body[at:at + 4])[0]
            names.append(body[at + 4:at + 4 + length].decode())
            at += 4 + length
        return sorted(names)

    def tree(self):
        """Data and stat of every node outside /zookeeper, behind a sync."""
        self.sync()
        nodes, waiting = {}, ["/"]
        while waiting:
            path = waiting.pop()
            error, body = self.call(4, text(path) + b"\0")
            if not error:
                nodes[path] = body
                names = [name for name in self.names(path) if (path, name) != ("/", "zookeeper")]
                waiting += [path.rstrip("/") + "/" + name for name in names]
        return nodes
