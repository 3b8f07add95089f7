"""Three workers, one lock: only one is inside at a time:  python lock.py [HOST:PORT]"""
import sys
import threading

from kazoo.client import KazooClient

hosts = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:2181"
inside = []


def work(name):
    client = KazooClient(hosts=hosts)
    client.start(timeout=10)
    for _ in range(3):
        with client.Lock("/examples/lock", name):
            inside.append(name)
            assert inside == [name], f"{inside} are inside together"
            print(f"{name} has the lock", flush=True)
            inside.remove(name)
    client.stop()


workers = [threading.Thread(target=work, args=(f"worker-{n}",)) for n in range(3)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
print("nobody met anybody inside")
