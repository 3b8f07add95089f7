"""Runs the Python examples as the README tells a user to, and looks at what they print.

python examples.py FOLDER, with ZK_HOSTPORT naming a fresh server and RESULTS a file for the verdicts.
"""
import os
import subprocess
import sys

FOLDER, HOSTPORT = sys.argv[1], os.environ["ZK_HOSTPORT"]
EMPTY = ["/zookeeper", "/zookeeper/config", "/zookeeper/quota"]


def run(name, *args):
    done = subprocess.run([sys.executable, f"{FOLDER}/{name}", HOSTPORT, *args], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def ready_on_an_empty_server():
    assert run("ready.py") == EMPTY


def watch_sees_what_write_does():
    run("write.py")
    watch = subprocess.Popen([sys.executable, f"{FOLDER}/watch.py", HOSTPORT, "/aws"], stdout=subprocess.PIPE, text=True)
    try:
        assert watch.stdout.readline() == "watching /aws\n"
        assert run("write.py")[0] == "/aws/ec2/ebs/gp2 = 0.10 (version 2)"
        seen = [watch.stdout.readline().strip() for _ in range(4)]
    finally:
        watch.terminate()
        watch.wait(20)
    prices = {"ec2/ebs/gp2": "0.10", "ec2/ebs/gp3": "0.08", "ec2/ebs/io2": "0.125", "s3/standard": "0.023"}
    assert sorted(seen) == [f"changed /aws/{path} {price}" for path, price in prices.items()], seen


def ready_after_write():
    paths = run("ready.py")
    assert "/aws/ec2/ebs/gp2" in paths and set(EMPTY) < set(paths), paths


def lock_keeps_workers_apart():
    lines = run("lock.py")
    assert lines[-1] == "nobody met anybody inside" and len(lines) == 10, lines


def election_has_one_leader_at_a_time():
    lines = run("election.py")
    assert lines[-1] == "3 leaders, one after the other" and len(lines) == 4, lines


with open(os.environ["RESULTS"], "w") as results:
    for test in (ready_on_an_empty_server, watch_sees_what_write_does, ready_after_write, lock_keeps_workers_apart,
                 election_has_one_leader_at_a_time):
        try:
            test()
            verdict = "PASS"
        except Exception as error:
            verdict = "FAIL"
            print(f"{test.__name__}: {type(error).__name__}: {error}", file=sys.stderr)
        print(f"{verdict}\t{test.__name__}", file=results, flush=True)
