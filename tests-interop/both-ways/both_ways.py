"""Java writes and Oxherd opens, Oxherd writes and Java opens, and both in turn on one directory, always killed."""

import os
import shutil
import sys
import threading
import traceback

import history
import servers
import wire

COMPRESSIONS = ("", "gz", "snappy")
KILLS = 50 if os.environ.get("FULL") == "1" else 10
WRITERS, WRITES = 4, 150


class Tally:
    """Counts checks and writes each into `results`: PASS or FAIL, tab, name."""

    def __init__(self, results):
        self.passed, self.failed, self.results = 0, 0, results

    def check(self, name, problem):
        """`problem` is what is wrong, or nothing."""
        if problem:
            self.failed += 1
            print(f"both-ways: FAILED {name}: {str(problem)[:1500]}", flush=True)
        else:
            self.passed += 1
        self.results.write(f"{'FAIL' if problem else 'PASS'}\t{name}\n")
        self.results.flush()

    def run(self, name, act):
        try:
            act()
        except Exception:
            self.check(name, traceback.format_exc())


def difference(left, right):
    """The first lines that only one has."""
    only = [f"- {line[:300]}" for line in left if line not in right][:3]
    return "\n".join(only + [f"+ {line[:300]}" for line in right if line not in left][:3])


def look(kind, folder, sessions):
    """What a server of this kind finds in a copy of the directory."""
    target = servers.copy(folder, f"in-{kind.name}")
    before = max(servers.digests(target), default=0)
    server = servers.Server(kind, target, skip_acl=True)
    try:
        seen = {"tree": history.dump(server.port), "owners": history.owners(server.port)}
        seen["attached"] = [attach(server.port, *session) for session in sessions]
    finally:
        server.kill()
    after = servers.digests(target)
    seen["digest"] = after[min(zxid for zxid in after if zxid > before)]
    return seen


def attach(port, session, password, timeout_ms):
    """Whether a session goes on where the server before was killed."""
    again = wire.Session(port, timeout_ms, (session, password))
    result = again.id == session and again.timeout_ms == timeout_ms and again.exists("/") is not None
    again.drop()
    return result


def same_history(tally, out, writer, readers, compression):
    name = f"{writer.name}{'-' + compression if compression else ''}"
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "data"))
    server = servers.Server(writer, folder, compression)
    try:
        sessions = history.write(server.port)
    finally:
        server.kill()
    suffix = f".{compression}" if compression else ""
    written = os.listdir(os.path.join(folder, "data", "version-2"))
    snapshots = [file for file in written if file.startswith("snapshot.") and file.endswith(suffix)]
    tally.check(f"{name} took snapshots", len(snapshots) < 2 and written)
    # The writer's own view of what it left is what others must see.
    expected = look(writer, folder, sessions)
    tally.check(f"{name} keeps its sessions", not all(expected["attached"]) and expected["attached"])
    for reader in readers:
        def compare(reader=reader):
            found = look(reader, folder, sessions)
            title = f"{name} opened by {reader.name}"
            tally.check(f"{title}: tree", difference(expected["tree"], found["tree"]))
            tally.check(f"{title}: digest", expected["digest"] != found["digest"] and (expected["digest"], found["digest"]))
            tally.check(f"{title}: ephemerals", expected["owners"] != found["owners"] and (expected["owners"], found["owners"]))
            tally.check(f"{title}: sessions", not all(found["attached"]) and found["attached"])
        tally.run(f"{name} opened by {reader.name}", compare)


class Writer(threading.Thread):
    """Writes until the server is gone; knows what was acknowledged."""

    def __init__(self, port, name, enough):
        super().__init__(daemon=True)
        self.port, self.prefix, self.enough = port, name, enough
        self.there, self.gone, self.doubt, self.error = {}, set(), set(), None

    def run(self):
        try:
            session = wire.Session(self.port)
            number = 0
            while True:
                self.step(session, f"/load/{self.prefix}-{number:05}", number)
                number += 1
        except wire.Lost:
            return
        except Exception:
            self.error = traceback.format_exc()

    def step(self, session, path, number):
        data = f"{path} {number}".encode()
        self.doubt = {path}
        session.create(path, data)
        self.there[path] = data
        self.enough.release()
        if number % 3 == 0:
            session.set(path, data + b"!")
            self.there[path] = data + b"!"
        if number % 4 == 0:
            del self.there[path]
            session.delete(path)
            self.gone.add(path)
        self.doubt = set()


def check_load(port, there, gone):
    """What acknowledged writes left, and did not leave."""
    session = wire.Session(port)
    problems = []
    for path, data in there.items():
        try:
            found, _ = session.get(path)
        except wire.Refused as refused:
            found = refused
        if found != data:
            problems.append(f"{path}: {found} in place of {data}")
    problems += [f"{path} was deleted" for path in gone if session.exists(path)]
    session.close()
    return problems[:5]


def settle(port, writers):
    """The last write of each may have been carried out or not; now it is decided."""
    session = wire.Session(port)
    for writer in writers:
        for path in writer.doubt:
            writer.there.pop(path, None)
            if session.exists(path):
                writer.there[path] = session.get(path)[0]
    session.close()


def kills(tally, out, kinds):
    """The two in turn on one directory; each is killed under load, the other finds everything."""
    folder = os.path.join(out, "kills")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "data"))
    there, gone, writers = {}, set(), []
    for kill in range(KILLS + 1):
        server = servers.Server(kinds[kill % len(kinds)], folder, COMPRESSIONS[kill % len(COMPRESSIONS)])
        try:
            if kill == 0:
                session = wire.Session(server.port)
                session.create("/load", b"")
                session.close()
            else:
                settle(server.port, writers)
                for writer in writers:
                    there.update(writer.there)
                    gone |= writer.gone
                problem = [writer.error for writer in writers if writer.error] or check_load(server.port, there, gone)
                tally.check(f"kill {kill}, then {server.kind.name}", problem)
            enough = threading.Semaphore(0)
            writers = [Writer(server.port, f"{kill}-{number}", enough) for number in range(WRITERS)]
            for writer in writers:
                writer.start()
            for _ in range(WRITES + kill * 13 % 100):
                if not enough.acquire(timeout=wire.PATIENCE_S):
                    raise RuntimeError(f"{server.kind.name} does not come on")
        finally:
            server.kill()
        for writer in writers:
            writer.join(wire.PATIENCE_S)


def main():
    binary, out, *releases = sys.argv[1:]
    out = os.path.abspath(out)
    # Without the final name the run did not come to its end.
    named = os.path.join(out, "results.tsv")
    with open(named + ".part", "w", encoding="utf-8") as results:
        tally = Tally(results)
        everything(tally, binary, out, releases)
    os.replace(named + ".part", named)
    print(f"both-ways: {tally.passed} passed, {tally.failed} failed, 0 skipped")
    return 1 if tally.failed else 0


def everything(tally, binary, out, releases):
    java = []
    for release in releases:
        with open(os.path.join(out, f"{release}.class-path"), encoding="utf-8") as file:
            java.append(servers.java(release, file.read().strip()))
    oxherd = servers.oxherd(os.path.abspath(binary))
    for compression in COMPRESSIONS:
        for writer, readers in [(kind, [oxherd]) for kind in java] + [(oxherd, java)]:
            title = f"{writer.name} {compression}"
            tally.run(title, lambda w=writer, r=readers, c=compression: same_history(tally, out, w, r, c))
    tally.run("kills", lambda: kills(tally, out, [java[-1], oxherd]))


if __name__ == "__main__":
    sys.exit(main())
