"""The client side of the crash test.

Starts a command that prints a line a second, and asks for two crashes of the server on its standard output: one after
which the server comes back on the same port, under a reader that is in the middle of the output; one after which it
comes back elsewhere, for a client that knows nothing but two ids. Each time the driver kills the server with SIGKILL,
starts the next one on the same store and answers with its address on our standard input.
"""

import asyncio
import os
import subprocess
import sys

from modal._utils.async_utils import synchronize_api
from modal.app import _App
from modal.container_process import _ContainerProcess
from modal.image import _Image
from modal.sandbox._sandbox import _Sandbox

LINES = 10
SCRIPT = f"i=0; while [ $i -lt {LINES} ]; do echo line $i; echo error $i >&2; i=$((i+1)); sleep 1; done; exit 9"


def wanted(word):
    """What the command prints on one of its streams."""
    return "".join(f"{word} {number}\n" for number in range(LINES))


def check(found, expected, what):
    """Prints a line per fact and ends the test at the first that does not hold."""
    if found != expected:
        raise AssertionError(f"{what}: {found!r}, wanted {expected!r}")
    print(f"ok {what}", flush=True)


async def crash(kind):
    """Has the server killed and restarted; returns the new address. The client's loop goes on meanwhile."""
    print(f"crash {kind}", flush=True)
    return (await asyncio.to_thread(sys.stdin.readline)).strip()


async def start():
    """The sandbox and the command that outlives two servers."""
    app = await _App.lookup("interop-restart", create_if_missing=True)
    sandbox = await _Sandbox.create(app=app, image=_Image.from_registry("host"), timeout=120)
    return sandbox, await sandbox.exec("sh", "-c", SCRIPT, bufsize=1)


async def read_through_a_crash(process):
    """Reads three lines, has the server killed, and goes on reading with the same reader."""
    lines = aiter(process.stdout)
    seen = [await anext(lines) for _ in range(3)]
    await crash("same-port")
    seen += [await anext(lines) for _ in range(3)]
    check("".join(seen), wanted("line")[: len("".join(seen))], "a live reader goes on where it was")


async def first_client():
    """Runs until the second crash, then hands over to a client of its own."""
    sandbox, process = await start()
    await read_through_a_crash(process)
    url = await crash("other-port")
    script = os.path.abspath(__file__)
    environment = os.environ | {"MODAL_SERVER_URL": url}
    command = [sys.executable, script, sandbox.object_id, process._process_id]
    return await asyncio.to_thread(subprocess.call, command, env=environment)


async def second_client(sandbox_id, exec_id):
    """Finds the sandbox and the running command by their ids alone."""
    sandbox = await _Sandbox.from_id(sandbox_id)
    check(await sandbox.poll(), None, "the sandbox still runs")
    fresh = await sandbox.exec("echo", "alive")
    check(await fresh.stdout.read(), "alive\n", "the sandbox takes new commands")
    task_id = await sandbox._impl.get_task_id()
    router = await sandbox._impl.get_command_router_client(task_id)
    process = _ContainerProcess(exec_id, task_id, sandbox._client, command_router_client=router)
    out, err = await asyncio.gather(process.stdout.read(), process.stderr.read())
    check(out, wanted("line"), "stdout is complete from offset 0")
    check(err, wanted("error"), "stderr is complete from offset 0")
    check(await process.wait(), 9, "the exit code arrives")
    check(await sandbox.terminate(wait=True), 137, "the sandbox ends")
    return 0


async def main():
    """The first client without arguments, the second with the two ids."""
    return await (second_client(*sys.argv[1:]) if len(sys.argv) > 1 else first_client())


# The client's own event loop runs its objects; this makes a blocking function of a coroutine on that loop.
sys.exit(synchronize_api(main)())
