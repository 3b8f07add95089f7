"""What is written into a directory before the server dies, and what a server says is in it."""

import struct

import wire

FILLERS = 150


def write(port):
    """Every kind of node, session and txn; the sessions that live on, and what they own."""
    lives, dropped, closed = (wire.Session(port) for _ in range(3))
    lives.authenticate(b"keeper:secret")
    kinds(lives)
    access(lives)
    quotas(lives)
    changes(lives)
    for number, session in enumerate((lives, dropped, closed)):
        session.create(f"/kinds/ephemeral-{number}", b"e", flags=wire.EPHEMERAL)
        session.create(f"/kinds/both-{number}-", b"es", flags=wire.EPHEMERAL | wire.SEQUENTIAL)
    closed.close()
    for number in range(FILLERS):
        path = f"/fillers/{number:04}"
        lives.create(path, b"f" * (number % 50))
        if number % 3 == 0:
            lives.delete(path)
        elif number % 5 == 1:
            lives.set(path, b"changed")
    many(lives)
    dropped.drop()
    lives.drop()
    return [(session.id, session.password, session.timeout_ms) for session in (lives, dropped)]


def kinds(session):
    session.create("/kinds", None)
    session.create("/fillers", b"")
    session.create("/kinds/null", None)
    session.create("/kinds/empty", b"")
    session.create("/kinds/big", bytes(range(256)) * 2000)
    session.create("/kinds/ünïcode-名前", "wörld".encode())
    session.create("/kinds/container", b"c", flags=wire.CONTAINER_FLAG)
    session.create("/kinds/container/child", b"")
    session.create("/kinds/container-unused", b"", flags=wire.CONTAINER_FLAG)
    session.create_ttl("/kinds/ttl", b"t", 3_600_000)
    session.create_ttl("/kinds/ttl-", b"t", 7_200_000, wire.TTL_SEQUENTIAL_FLAG)
    for _ in range(5):
        session.create("/kinds/sequence-", b"", flags=wire.SEQUENTIAL)
    path = "/kinds/deep"
    for depth in range(20):
        session.create(path, str(depth).encode())
        path += "/d"


def access(session):
    session.create("/access", b"")
    session.create("/access/auth", b"", [(31, "auth", "")])
    session.create("/access/digest", b"", [(1, "digest", "reader:R4ywT4Ct5tJBJ2cCQqdR4BWyqZE="), *wire.OPEN])
    session.create("/access/ip", b"", [(3, "ip", "10.0.0.0/8"), (31, "ip", "127.0.0.1")])
    session.create("/access/some", b"", [(1 | 16, "world", "anyone")])
    session.create("/access/changed", b"")
    session.set_acl("/access/changed", [(31, "auth", ""), (1, "world", "anyone")], 0)


def quotas(session):
    session.create("/quoted", b"12345")
    session.create("/zookeeper/quota/quoted", None)
    session.create("/zookeeper/quota/quoted/zookeeper_limits", b"count=50,bytes=10000")
    session.create("/zookeeper/quota/quoted/zookeeper_stats", b"count=1,bytes=5")
    session.create("/quoted/inside", b"123")
    session.set("/quoted/inside", b"1234567")


def changes(session):
    session.create("/gone", b"")
    session.create("/gone/child", b"")
    session.delete("/gone/child")
    session.delete("/gone")
    session.create("/again", b"1")
    session.delete("/again")
    session.create("/again", b"2")
    for number in range(7):
        session.set("/again", str(number).encode(), number)
    refused(lambda: session.set("/again", b"", 99))
    refused(lambda: session.create("/again", b""))
    refused(lambda: session.delete("/kinds"))


def refused(act):
    try:
        act()
    except wire.Refused:
        return
    raise AssertionError("it had to be refused")


def many(session):
    def create(path):
        return wire.CREATE, wire.text(path) + wire.buffer(b"m") + wire.acl(wire.OPEN) + struct.pack(">i", 0)

    def check(path, version):
        return wire.CHECK, wire.text(path) + struct.pack(">i", version)

    delete = wire.DELETE, wire.text("/many/0") + struct.pack(">i", -1)
    change = wire.SET_DATA, wire.text("/many/1") + wire.buffer(b"changed") + struct.pack(">i", 0)
    assert session.multi([create("/many"), create("/many/0"), create("/many/1"), check("/many", 0)])
    assert session.multi([delete, change, create("/many/2")])
    assert not session.multi([create("/many/3"), check("/many", 99)])


def dump(port):
    """Every node with data, stat and ACL, a line each. The server must not check ACLs."""
    session = wire.Session(port)
    lines, paths = [], ["/"]
    for path in paths:
        data, stat = session.get(path)
        children = session.children(path)
        paths.extend(("" if path == "/" else path) + "/" + name for name in children)
        shown = "null" if data is None else data.hex()
        lines.append(f"{path} {stat} {session.get_acl(path) if path != '/' else ''} {shown}")
    session.close()
    return lines


def owners(port):
    """Sessions with the ephemeral nodes they own, by the word `dump`."""
    text = wire.word(port, "dump")
    section = text[text.index("Sessions with Ephemerals") :]
    found, owner = {}, None
    for line in section.splitlines()[1:]:
        if line.startswith("0x"):
            owner = found.setdefault(line.strip().rstrip(":"), [])
        elif line.startswith("\t") and owner is not None:
            owner.append(line.strip())
        else:
            break
    return {session: sorted(paths) for session, paths in found.items()}
