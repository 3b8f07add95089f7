"""What `oxherd replace` says of an ensemble before and after each step; the steps are taken in its order."""
import json
import subprocess
import time

LOOK_S, SYNC_S = 120, 30
# What a moment after a step may still refuse: a learner that serves is not yet counted as in sync.
PASSING = {"sync", "leader"}


class Guide:
    def __init__(self, oxherd, members, to):
        self.members, self.to = members, to
        self.command = [oxherd, "replace", members[0].config, "--json"] + (["--back"] if to == "java" else [])
        for member in members:
            self.command += ["--client", f"{member.number}=127.0.0.1:{member.port}"]
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
