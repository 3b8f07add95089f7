"""Prints the whole tree, a path a line:  python ready.py [HOST:PORT]"""
import sys

from kazoo.client import KazooClient


def show(client, path):
    for name in sorted(client.get_children(path)):
        child = f"{path.rstrip('/')}/{name}"
        print(child)
        show(client, child)


client = KazooClient(hosts=sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:2181")
client.start(timeout=10)
show(client, "/")
client.stop()
