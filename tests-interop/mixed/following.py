"""Clients that were told one server follow the ensemble: Curator by its tracker, kazoo by a watch on the configuration.

following.py OXHERD OUT RELEASE...   OUT/RELEASE.class-path holds a release's class path; CLIENTS is that of the Java
clients, PYTHON an interpreter with kazoo. The server that they were told leaves, and ends; kazoo asks for the changes.
"""
import os
import signal
import subprocess
import sys
import threading

from members import wait_until
from reconfig import Ensemble
from story import home_of, releases, tell

HERE = os.path.dirname(os.path.abspath(__file__))
MIXES = os.environ.get("FOLLOWING", "ox,java,ox,java java,ox,java,ox").split()
BOUND_S = 90


class Follower:
    """A client in a process of its own; `say` asks what it knows."""

    def __init__(self, name, command, log):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        self.session = self.say()["session"]

    def say(self, order="tell"):
        watchdog = threading.Timer(BOUND_S, self.process.kill)
        watchdog.start()
        try:
            self.process.stdin.write(order + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        finally:
            watchdog.cancel()
        if not answer:
            raise ValueError(f"{self.name} ended at {order}")
        return dict(pair.split("=", 1) for pair in answer.split())

    def knows(self, ports):
        return sorted(self.say()["servers"].split(",")) == sorted(f"127.0.0.1:{port}" for port in ports)

    def writes(self):
        return int(self.say()["writes"])

    def end(self):
        self.process.kill()
        self.process.wait()


def know(ensemble, followers, numbers):
    """All of them know exactly these servers, and write."""
    ports = [ensemble.clients[number - 1] for number in numbers]
    for each in followers:
        wait_until(lambda: each.knows(ports), lambda: f"{each.name} knows {each.say()['servers']}, not {numbers}")
        before = each.writes()
        wait_until(lambda: each.writes() > before + 20, f"{each.name} cannot write while {numbers} serve")
    print(f"  all know {numbers}, led by {ensemble.leader()} ({ensemble.kinds[ensemble.leader() - 1]})", flush=True)


def play(ensemble):
    for number in (1, 2, 3):
        ensemble.start(number, [1, 2, 3])
    ensemble.wait_for([1, 2, 3])
    told = f"127.0.0.1:{ensemble.clients[0]}"
    with open(os.path.join(ensemble.out, "clients.log"), "ab") as log:
        java = ["java", "-Xmx200m", "-cp", os.environ["CLIENTS"], "oxherd.interop.EnsembleFollower", told]
        python = [os.environ.get("PYTHON", "python3"), os.path.join(HERE, "kazoo_follower.py"), told]
        followers = []
        try:
            followers.append(Follower("kazoo", python, log))
            followers.append(Follower("Curator", java, log))
            return steps(ensemble, followers)
        finally:
            for each in followers:
                each.end()


def steps(ensemble, followers):
    kazoo = followers[0]
    know(ensemble, followers, [1, 2, 3])
    ensemble.begin([4], [1, 2, 3])
    kazoo.say(f"join {ensemble.spec(4)}")
    know(ensemble, followers, [1, 2, 3, 4])
    kazoo.say("leave 1")
    wait_until(lambda: ensemble.leader() in (2, 3, 4), "a server that left still leads")
    ensemble.members.pop(1).end(signal.SIGTERM)
    know(ensemble, followers, [2, 3, 4])
    leader = ensemble.members[ensemble.leader()]
    leader.end(signal.SIGKILL)
    wait_until(lambda: ensemble.leader(), "nobody leads after a leader's death")
    know(ensemble, followers, [2, 3, 4])
    return [f"{each.name} has another session than in the beginning" for each in followers
            if each.say()["session"] != each.session]


def main():
    for release, class_path in releases():
        for mix in MIXES:
            title = f"{release} clients follow, {mix}"
            ensemble = Ensemble(mix + ",ox", sys.argv[1], home_of(title), class_path)
            tell(title, lambda each=ensemble: list(each.members.values()), lambda each=ensemble: play(each))


main()
