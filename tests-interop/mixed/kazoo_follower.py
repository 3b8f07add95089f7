"""kazoo told a part of an ensemble: it watches the configuration, and connects to whom that names.

kazoo_follower.py HOSTS. Reads the lines `tell`, `join LINES` and `leave NUMBERS`, of which the last two change the ensemble;
answers each with `servers=... session=... writes=...`.
"""
import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss, NewConfigNoQuorumError, ReconfigInProcessError
from kazoo.protocol.connection import ConnectionDropped
from kazoo.retry import KazooRetry

PATH, CONFIG, AGAIN_S, PATIENCE_S = "/kazoo-follows", "/zookeeper/config", 0.1, 60


class Follower:
    def __init__(self, hosts):
        retry = [KazooRetry(max_tries=-1, delay=0.02, max_delay=0.1) for _ in range(2)]
        self.client = KazooClient(hosts, timeout=15, connection_retry=retry[0], command_retry=retry[1])
        self.client.start(30)
        self.client.ensure_path(PATH)
        self.servers, self.writes, self.session = hosts, 0, self.client.client_id[0]
        self.client.DataWatch(CONFIG, self.follow)
        threading.Thread(target=self.write, daemon=True).start()

    def follow(self, data, _):
        lines = [line for line in data.decode().splitlines() if line.startswith("server.")]
        self.servers = ",".join(line.rsplit(";", 1)[1] for line in lines)
        self.client.set_hosts(self.servers)

    def write(self):
        while True:
            try:
                self.client.retry(self.client.set, PATH, b"x")
                self.writes += 1
                self.session = (self.client.client_id or [self.session])[0]
                time.sleep(0.01)
            except (ConnectionLoss, ConnectionDropped) as error:
                print(repr(error), file=sys.stderr)

    def change(self, joining, leaving):
        """Asks again while joiners learn."""
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self.client.reconfig(joining=joining, leaving=leaving, new_members=None)
            except (NewConfigNoQuorumError, ReconfigInProcessError, ConnectionLoss):
                if time.monotonic() > end:
                    raise
                time.sleep(AGAIN_S)


def main():
    follower = Follower(sys.argv[1])
    for line in sys.stdin:
        order, _, rest = line.strip().partition(" ")
        if order != "tell":
            follower.change(*((rest, None) if order == "join" else (None, rest)))
        print(f"servers={follower.servers} session={follower.session:x} writes={follower.writes}", flush=True)


main()
