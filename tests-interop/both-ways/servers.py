"""Servers of either kind on a directory."""

import os
import shutil
import socket
import struct
import subprocess
import time

import wire

PROPERTIES = {
    "extendedTypesEnabled": "true",
    "DigestAuthenticationProvider.superDigest": "super:D/InIHSb7yEEbrWz8b9l71RjZJU=",
    "admin.enableServer": "false",
    "4lw.commands.whitelist": "*",
}


class Kind:
    """Oxherd, or a release of ZooKeeper."""

    def __init__(self, name, command):
        self.name, self.command = name, command


def java(release, class_path):
    options = ["-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
    main = "org.apache.zookeeper.server.ZooKeeperServerMain"
    return Kind(f"java-{release}", ["java", *options, "-cp", class_path, main])


def oxherd(binary):
    return Kind("oxherd", [binary, "serve"])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A process that serves `folder`/data."""

    def __init__(self, kind, folder, compression="", skip_acl=False):
        self.kind, self.port = kind, free_port()
        self.log = os.path.join(folder, f"{kind.name}.log")
        properties = dict(PROPERTIES)
        properties["snapshot.compression.method"] = compression
        properties["skipACL"] = "yes" if skip_acl else "no"
        config = os.path.join(folder, "zoo.cfg")
        with open(config, "w", encoding="utf-8") as file:
            file.write(
                f"tickTime=5000\nclientPortAddress=127.0.0.1\nclientPort={self.port}\ndataDir={folder}/data\n"
                "snapCount=70\npreAllocSize=256\n"
            )
        flags = [f"-Dzookeeper.{key}={value}" for key, value in properties.items() if value]
        command = list(kind.command)
        environment = dict(os.environ)
        if command[0] == "java":
            command[1:1] = flags
        else:
            environment["SERVER_JVMFLAGS"] = " ".join(flags)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*command, config], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )
        self.wait_until_ready()

    def wait_until_ready(self):
        deadline = time.monotonic() + wire.PATIENCE_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                if "Mode" in wire.word(self.port, "srvr", patience_s=1):
                    return
            except OSError:
                pass
            time.sleep(0.02)
        self.kill()
        with open(self.log, encoding="utf-8", errors="replace") as log:
            raise RuntimeError(f"{self.kind.name} does not serve: {log.read()[-2000:]}")

    def kill(self):
        self.process.kill()
        self.process.wait()


def copy(folder, name):
    """The directory as it is now, for somebody else to open."""
    target = f"{folder}-{name}"
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(target)
    shutil.copytree(os.path.join(folder, "data"), os.path.join(target, "data"))
    return target


def log_files(folder):
    place = os.path.join(folder, "data", "version-2")
    names = [name for name in os.listdir(place) if name.startswith("log.")]
    return [os.path.join(place, name) for name in sorted(names, key=lambda name: int(name[4:], 16))]


def digests(folder):
    """The tree's digest as each txn in the logs tells it, by zxid."""
    found = {}
    for path in log_files(folder):
        with open(path, "rb") as file:
            data = file.read()
        at = 16
        while at + 12 <= len(data):
            (length,) = struct.unpack_from(">i", data, at + 8)
            if length <= 0 or at + 12 + length >= len(data):
                break
            payload = data[at + 12 : at + 12 + length]
            version, digest = struct.unpack(">iq", payload[-12:])
            if version == 2:
                found[struct.unpack_from(">q", payload, 12)[0]] = digest
            at += 12 + length + 1
    return found
