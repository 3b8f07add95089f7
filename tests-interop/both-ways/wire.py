"""ZooKeeper's client protocol, as far as these tests speak it."""

import socket
import struct

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, GET_ACL, SET_ACL = 1, 2, 3, 4, 5, 6, 7
CHILDREN2, CHECK, MULTI, CREATE2, CONTAINER, TTL = 12, 13, 14, 15, 19, 21
AUTH, CLOSE = 100, -11
PERSISTENT, EPHEMERAL, SEQUENTIAL = 0, 1, 2
CONTAINER_FLAG, TTL_FLAG, TTL_SEQUENTIAL_FLAG = 4, 5, 6
OPEN = [(31, "world", "anyone")]
STAT = struct.Struct(">qqqqiiiqiiq")
EVENT, PATIENCE_S = -1, 60


class Refused(Exception):
    """The server answered with an error code."""


class Lost(Exception):
    """The connection is gone."""


def buffer(data):
    return struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data


def text(string):
    return buffer(string.encode())


def acl(entries):
    return struct.pack(">i", len(entries)) + b"".join(struct.pack(">i", p) + text(s) + text(i) for p, s, i in entries)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return values[0] if len(values) == 1 else values

    def buffer(self):
        length = self.take(">i")
        if length < 0:
            return None
        self.at += length
        return self.data[self.at - length : self.at]

    def text(self):
        return self.buffer().decode()

    def stat(self):
        return self.take(STAT.format)


class Session:
    """One connection. `session` is what an earlier one was: its id and password. `events` are kinds and paths of what
    its watches saw, `zxid` is the newest it heard of."""

    def __init__(self, port, timeout_ms=60000, session=(0, bytes(16))):
        try:
            self.link = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        except OSError as error:
            raise Lost from error
        self.link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.xid, self.zxid, self.events = 0, 0, []
        self.send(struct.pack(">iqiq", 0, 0, timeout_ms, session[0]) + buffer(session[1]) + b"\0")
        reply = Reader(self.receive())
        _, self.timeout_ms, self.id = reply.take(">iiq")
        self.password = reply.buffer()

    def send(self, frame):
        try:
            self.link.sendall(buffer(frame))
        except OSError as error:
            raise Lost from error

    def receive(self):
        (length,) = struct.unpack(">i", self.exactly(4))
        return self.exactly(length)

    def exactly(self, count):
        parts = []
        while count:
            try:
                part = self.link.recv(min(count, 1 << 20))
            except OSError as error:
                raise Lost from error
            if not part:
                raise Lost
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def ask(self, op, body=b"", xid=None):
        if xid is None:
            self.xid += 1
            xid = self.xid
        self.send(struct.pack(">ii", xid, op) + body)
        while True:
            reply = Reader(self.receive())
            got, zxid, code = reply.take(">iqi")
            if got == EVENT:
                kind, _ = reply.take(">ii")
                self.events.append((kind, reply.text()))
            if got != xid:
                continue
            self.zxid = max(self.zxid, zxid)
            if code:
                raise Refused(code)
            return reply

    def create(self, path, data=b"", entries=OPEN, flags=PERSISTENT):
        op = CONTAINER if flags == CONTAINER_FLAG else CREATE
        return self.ask(op, text(path) + buffer(data) + acl(entries) + struct.pack(">i", flags)).text()

    def create_ttl(self, path, data, ttl_ms, flags=TTL_FLAG):
        body = text(path) + buffer(data) + acl(OPEN) + struct.pack(">iq", flags, ttl_ms)
        return self.ask(TTL, body).text()

    def delete(self, path, version=-1):
        self.ask(DELETE, text(path) + struct.pack(">i", version))

    def exists(self, path):
        try:
            return self.ask(EXISTS, text(path) + b"\0").stat()
        except Refused as refused:
            if refused.args[0] == -101:
                return None
            raise

    def get(self, path):
        reply = self.ask(GET_DATA, text(path) + b"\0")
        return reply.buffer(), reply.stat()

    def set(self, path, data, version=-1):
        return self.ask(SET_DATA, text(path) + buffer(data) + struct.pack(">i", version)).stat()

    def get_acl(self, path):
        reply = self.ask(GET_ACL, text(path))
        return [(reply.take(">i"), reply.text(), reply.text()) for _ in range(reply.take(">i"))]

    def set_acl(self, path, entries, version=-1):
        self.ask(SET_ACL, text(path) + acl(entries) + struct.pack(">i", version))

    def children(self, path):
        reply = self.ask(CHILDREN2, text(path) + b"\0")
        return sorted(reply.text() for _ in range(reply.take(">i")))

    def authenticate(self, name_and_password):
        self.ask(AUTH, struct.pack(">i", 0) + text("digest") + buffer(name_and_password), xid=-4)

    def multi(self, ops):
        """Pairs of an operation and its body; whether all were carried out."""
        body = b"".join(struct.pack(">ibi", op, 0, -1) + record for op, record in ops)
        reply = self.ask(MULTI, body + struct.pack(">ibi", -1, 1, -1))
        return reply.take(">i") != -1

    def close(self):
        self.ask(CLOSE)
        self.link.close()

    def drop(self):
        self.link.close()


def word(port, name, patience_s=PATIENCE_S):
    """The answer to a four-letter word. A Java server that is about to start leaves some unanswered."""
    with socket.create_connection(("127.0.0.1", port), patience_s) as link:
        link.sendall(name.encode())
        parts = []
        while part := link.recv(65536):
            parts.append(part)
    return b"".join(parts).decode()
