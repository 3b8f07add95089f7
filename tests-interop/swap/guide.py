"""What `oxherd replace` says of an ensemble before and after each step; the steps are taken in its order."""
import json
import subprocess
import time

LOOK_S, SYNC_S = 120, 30
# What a moment after a step may still refuse: a learner that serves is not yet counted as in sync.
PASSING = {"sync", "leader"}


def command(oxherd, members, to):
    words = [oxherd, "replace", members[0].config, "--json"] + (["--back"] if to == "java" else [])
    for member in members:
        words += ["--client", f"{member.number}=127.0.0.1:{member.port}"]
    return words


class Guide:
    def __init__(self, oxherd, members, to):
        self.members, self.to = members, to
        self.command = command(oxherd, members, to)
        self.said = None

    def look(self):
        """One run; once more while only what passes by itself is refused."""
        end = time.monotonic() + SYNC_S
        while True:
            run = subprocess.run(self.command, capture_output=True, timeout=LOOK_S, check=False)
            if run.returncode not in (0, 1):
                raise OSError(f"oxherd replace ends with {run.returncode}: {run.stderr.decode()[-500:]}")
            self.said = json.loads(run.stdout)
            refusals = {finding["rule"] for finding in self.said["findings"] if finding["severity"] == "refusal"}
            if not refusals or refusals - PASSING or time.monotonic() > end:
                return
            time.sleep(0.5)

    def next(self):
        """The member to be exchanged, or None when it gives none."""
        if not self.said or not self.said["next"]:
            return None
        return self.members[self.said["next"]["server"] - 1]

    def faults(self, left):
        """What is wrong with what it says while so many members are left to be exchanged."""
        said = self.said
        wrong = [f"oxherd replace: {finding['text']}" for finding in said["findings"] if finding["severity"] == "refusal"]
        if said["done"] != (left == 0):
            wrong.append(f"oxherd replace says done={said['done']} with {left} members left")
        if said["next"] and said["next"]["mode"] == "leader" and left > 1:
            wrong.append(f"oxherd replace names the leader with {left} members left")
        for member in said["members"]:
            tree = member["tree"]
            if member["server"] != said["leader"] and not (tree and tree.get("equal")):
                wrong.append(f"oxherd replace does not find the tree of server {member['server']} equal: {tree}")
        return wrong


class Follower:
    """`oxherd replace --wait`, which stays for a whole pass and prints a line a step."""

    def __init__(self, oxherd, members, to, out):
        self.members, self.out = members, out
        with open(out, "wb") as file, open(out + ".progress", "wb") as progress:
            self.process = subprocess.Popen(command(oxherd, members, to) + ["--wait"], stdout=file, stderr=progress)

    def lines(self):
        with open(self.out, encoding="utf-8") as file:
            return [json.loads(line) for line in file.read().splitlines(True) if line.endswith("\n")]

    def see(self, count):
        """Waits until it has printed so many looks, or has ended."""
        end = time.monotonic() + LOOK_S
        while len(self.lines()) < count and self.process.poll() is None and time.monotonic() < end:
            time.sleep(0.2)

    def faults(self):
        """What is wrong with what it printed once all members are exchanged."""
        try:
            code = self.process.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            self.end()
            return ["oxherd replace --wait does not end"]
        looks = self.lines()
        kept = [look["kept"] for look in looks[1:]]
        wrong = [f"oxherd replace --wait ends with {code}"] if code else []
        wrong += [f"oxherd replace --wait refused: {look['findings']}" for look in looks if look["refused"]]
        if sorted(each["server"] for each in kept) != sorted(member.number for member in self.members):
            wrong.append(f"oxherd replace --wait saw these steps: {kept}")
        if looks[0]["kept"] or not looks[-1]["done"]:
            wrong.append("oxherd replace --wait begins with a step that is over, or ends before all are")
        wrong += [f"sessions were lost: {each}" for each in kept if each["sessions_still"] != each["sessions_before"]]
        return wrong

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
