"""Clients that write all the while."""
import random
import threading
import time

from members import Client, wait_until

WRITERS = 6
NODE_EXISTS, SESSION_LOST = -110, (-112, -118, -4)


class Load:
    """Writers that connect to any member and remember what was acknowledged."""

    def __init__(self, members):
        self.members, self.acknowledged, self.over = members, [], False
        self.threads = [threading.Thread(target=self.write, args=(w,), daemon=True) for w in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def write(self, writer):
        client, number, dice = None, 0, random.Random(writer)
        while not self.over:
            try:
                client = client or Client(dice.choice(self.members).port)
                path = f"/w{writer}-{number}"
                error = client.create(path, b"x" * 50)
                if error in (0, NODE_EXISTS):
                    self.acknowledged.append(path)
                    number += 1
                    client.set("/hot", str(number).encode())
                    if number % 7 == 0:
                        client.create(f"/e{writer}-{number}", b"", 1)
                elif error in SESSION_LOST:
                    client = None
                else:
                    raise ValueError(f"error {error} for {path}")
            except OSError:
                client = None
                time.sleep(0.02)
        if client:
            try:
                client.close()
            except OSError:
                pass

    def wait_for(self, more):
        wanted = len(self.acknowledged) + more
        wait_until(lambda: len(self.acknowledged) >= wanted, "clients cannot write")

    def end(self):
        self.over = True
        for thread in self.threads:
            thread.join(30)
