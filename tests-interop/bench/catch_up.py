"""How long an empty follower takes to learn a large tree (SNAP), and how long writes to the leader stand still meanwhile.

catch_up.py RIGS OUT KIND...   RIGS is the folder of peer.py and zkload, KIND as in peer.py. Three servers of each kind in turn;
NODES in the tree (1,000,000), ROUNDS followers emptied (3). A line of JSON a round goes to OUT, a table to standard output.
"""
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time

RIGS, OUT, *KINDS = sys.argv[1:]
sys.path.insert(0, RIGS)

import peer  # noqa: E402

NODES, ROUNDS = int(os.environ.get("NODES", "1000000")), int(os.environ.get("ROUNDS", "3"))
ZKLOAD = os.path.join(RIGS, "zkload/target/release/zkload")
FILL = f"--workload fill --nodes {NODES} --fanout 1000 --value-size 100 --connections 4 --depth 64"
# Longer than a catch-up; the same without one tells what the machine does by itself.
LOAD_S, PATIENCE_S = int(os.environ.get("LOAD_S", "30")), 300


def load(hosts, args):
    return subprocess.Popen([ZKLOAD, "--json", "--hosts", hosts, *args.split()], stdout=subprocess.PIPE, text=True)


def report(run):
    text, _ = run.communicate()
    result = json.loads(text)
    if result["errors"] or result["violations"]:
        raise OSError(f"the load failed: {result['first_problem']}")
    return result


def mode(node):
    try:
        lines = peer.four_letter(node["port"], "srvr").splitlines()
    except OSError:
        return None
    return next((line[6:] for line in lines if line.startswith("Mode: ")), None)


def start(run, node):
    """One member alone, as peer.py starts all."""
    with open(os.path.join(node["dir"], "server.log"), "ab") as log:
        process = subprocess.Popen(peer.command(run, node), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   start_new_session=True)
    node["pid"], node["born"] = process.pid, peer.birth(process.pid)
    with open(os.path.join(run["dir"], "run.json"), "w", encoding="utf-8") as file:
        json.dump(run, file)


def empty(run, node):
    peer.stop({"nodes": [node]}, signal.SIGKILL)
    shutil.rmtree(os.path.join(node["data"], "version-2"))


def writes(leader):
    """One write at a time, to the leader."""
    return load(f"127.0.0.1:{leader['port']}", f"--workload set --warmup 3 --duration {LOAD_S}")


def catch_up(run, leader, node):
    """Seconds from the start of an emptied member until it follows; and the slowest write meanwhile, in ms."""
    empty(run, node)
    load_ended = writes(leader)
    time.sleep(5)  # the load is past its warm-up
    begun = time.monotonic()
    start(run, node)
    while mode(node) != "follower":
        if time.monotonic() - begun > PATIENCE_S:
            raise TimeoutError(f"node {node['id']} does not follow")
        time.sleep(0.01)
    seconds = time.monotonic() - begun
    if load_ended.poll() is not None:
        raise TimeoutError(f"it took {seconds:.1f} s, longer than the load: raise LOAD_S")
    latency = report(load_ended)["latency_us"]["set"]
    return {"catch_up_s": round(seconds, 3), "write_max_ms": latency["max"] / 1000, "write_p50_ms": latency["p50"] / 1000}


def measure(kind):
    run = peer.start(kind, 3, "4g")
    try:
        report(load(run["hosts"], FILL))
        while not any(mode(node) == "leader" for node in run["nodes"]):
            time.sleep(0.1)
        leader = next(node for node in run["nodes"] if mode(node) == "leader")
        followers = [node for node in run["nodes"] if node is not leader]
        quiet = report(writes(leader))["latency_us"]["set"]["max"] / 1000
        for number in range(ROUNDS):
            row = {"kind": "Oxherd" if kind.startswith("exec:") else kind, "nodes": NODES, "quiet_write_max_ms": quiet}
            row |= catch_up(run, leader, followers[number % 2])
            with open(OUT, "a", encoding="utf-8") as out:
                out.write(json.dumps(row) + "\n")
            print(row, file=sys.stderr, flush=True)
            yield row
    finally:
        peer.stop(run, signal.SIGKILL)
        shutil.rmtree(run["dir"])


def main():
    print("| server | catch-up, s | slowest write meanwhile, ms | slowest write without, ms |\n|---|---:|---:|---:|")
    for kind in KINDS:
        rows = list(measure(kind))
        middle = [statistics.median(row[key] for row in rows) for key in ("catch_up_s", "write_max_ms", "quiet_write_max_ms")]
        print(f"| {rows[0]['kind']} | " + " | ".join(f"{value:.2f}" for value in middle) + " |", flush=True)


if __name__ == "__main__":
    main()
