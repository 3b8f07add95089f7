"""Prints every change under a path while it happens:  python watch.py [HOST:PORT] [PATH]   (ctrl-c ends it)"""
import queue
import sys

from kazoo.client import KazooClient
from kazoo.recipe.cache import TreeCache, TreeEvent

hosts = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:2181"
path = sys.argv[2] if len(sys.argv) > 2 else "/aws"
NAMES = {TreeEvent.NODE_ADDED: "created", TreeEvent.NODE_UPDATED: "changed", TreeEvent.NODE_REMOVED: "deleted"}

client = KazooClient(hosts=hosts)
client.start(timeout=10)
client.ensure_path(path)
events = queue.Queue()
cache = TreeCache(client, path)
cache.listen(events.put)
cache.start()
ready = False
try:
    while True:
        event = events.get()
        if event.event_type == TreeEvent.INITIALIZED:
            ready = True
            print(f"watching {path}", flush=True)
        elif ready and event.event_type in NAMES:
            value = event.event_data.data.decode(errors="replace")
            print(f"{NAMES[event.event_type]} {event.event_data.path} {value}".rstrip(), flush=True)
except KeyboardInterrupt:
    client.stop()
