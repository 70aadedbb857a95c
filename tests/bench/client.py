"""The measured operations on the official Python client: `client.py OPERATION AMOUNT` prints one line of JSON."""

import asyncio
import json
import os
import re
import sys
import time

import modal

WARM_UP = 5
WARM_UP_FILES = 2
FILES = 3
TRUE = "/tmp/true"


def memory(field):
    """A line of the kernel's account of this process, in KiB."""
    with open("/proc/self/status") as status:
        return int(re.search(rf"^{field}:\s+(\d+)", status.read(), re.MULTILINE).group(1))


def ended(code):
    """Fails unless a command ended well."""
    if code != 0:
        raise AssertionError(f"exit code {code}")


class Bench:
    """One app, one image, one sandbox, and what was measured."""

    def __init__(self):
        self.app = modal.App.lookup("bench-python", create_if_missing=True)
        self.image = modal.Image.from_registry("host")
        self.sandbox = self.create()
        self.times = []

    def create(self):
        return modal.Sandbox.create(app=self.app, image=self.image)

    def run(self, sandbox, program="true"):
        ended(sandbox.exec(program).wait())

    def warm_up(self, program):
        """Brings the static program along where it is asked for, and runs it a few times."""
        if program == TRUE:
            with open(os.environ["BENCH_TRUE"], "rb") as content:
                self.sandbox.filesystem.write_bytes(content.read(), TRUE)
            ended(self.sandbox.exec("chmod", "755", TRUE).wait())
        for _ in range(WARM_UP):
            self.run(self.sandbox, program)

    def measured(self, work):
        start = time.perf_counter()
        work()
        self.times.append((time.perf_counter() - start) * 1000)

    def report(self, amount_of_runs, work):
        """Runs `work` and prints its wall times, its CPU time for one run, and the memory before and at its peak."""
        before, cpu = memory("VmRSS"), time.process_time()
        work()
        cpu = (time.process_time() - cpu) * 1000 / amount_of_runs
        peak = memory("VmHWM")
        print(json.dumps({"wall_ms": self.times, "cpu_ms": cpu, "before_kib": before, "peak_kib": peak}))

    def creates(self, amount):
        made = []

        def one():
            made.append(self.create())
            self.run(made[-1])

        self.run(self.sandbox)
        self.report(amount, lambda: [self.measured(one) for _ in range(amount)])
        for sandbox in made:
            sandbox.terminate()

    def execs(self, amount, program=TRUE):
        def one():
            self.run(self.sandbox, program)

        self.warm_up(program)
        self.report(amount, lambda: [self.measured(one) for _ in range(amount)])

    def execs_dynamic(self, amount):
        self.execs(amount, "true")

    def output(self, amount):
        def work():
            process = self.sandbox.exec("head", "-c", str(amount), "/dev/zero", text=False)
            length = 0
            for chunk in process.stdout:
                length += len(chunk)
            ended(process.wait())
            if length != amount:
                raise AssertionError(f"{length} bytes of {amount}")

        self.run(self.sandbox)
        self.report(1, lambda: self.measured(work))

    def write(self, amount):
        data = b"7" * amount
        self.run(self.sandbox)

        def one():
            self.sandbox.filesystem.write_bytes(data, "/tmp/data")

        for _ in range(WARM_UP_FILES):
            one()
        self.report(FILES, lambda: [self.measured(one) for _ in range(FILES)])
        if self.sandbox.filesystem.stat("/tmp/data").size != amount:
            raise AssertionError("the file has another size")

    def read(self, amount):
        ended(self.sandbox.exec("sh", "-c", f"head -c {amount} /dev/zero > /tmp/data").wait())

        def work():
            if len(self.sandbox.filesystem.read_bytes("/tmp/data")) != amount:
                raise AssertionError("the content has another length")

        self.report(1, lambda: self.measured(work))

    def many(self, amount, program=TRUE):
        async def one():
            process = await self.sandbox.exec.aio(program)
            ended(await process.wait.aio())

        async def together():
            await asyncio.gather(*(one() for _ in range(amount)))

        self.warm_up(program)
        self.report(1, lambda: self.measured(lambda: asyncio.run(together())))

    def many_dynamic(self, amount):
        self.many(amount, "true")


def main():
    operation, amount = sys.argv[1], int(sys.argv[2])
    bench = Bench()
    try:
        getattr(bench, operation)(amount)
    finally:
        bench.sandbox.terminate()


main()
