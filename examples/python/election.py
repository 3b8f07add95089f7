"""Three candidates; each leads once, then leaves:  python election.py [HOST:PORT]"""
import sys
import threading

from kazoo.client import KazooClient

hosts = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:2181"
leaders = []


def stand(name):
    client = KazooClient(hosts=hosts)
    client.start(timeout=10)

    def lead():
        leaders.append(name)
        print(f"{name} leads", flush=True)

    client.Election("/examples/election", name).run(lead)
    client.stop()


candidates = [threading.Thread(target=stand, args=(f"candidate-{n}",)) for n in range(3)]
for candidate in candidates:
    candidate.start()
for candidate in candidates:
    candidate.join()
print(f"{len(leaders)} leaders, one after the other")
