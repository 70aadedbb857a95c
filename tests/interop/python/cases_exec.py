"""Running commands: streams, exit codes, input, environment, limits."""

import asyncio

import modal
from suite import case, equal, raises, run


@case
def exec_streams_and_exit_code(ctx):
    found = run(ctx.sandbox(), "sh", "-c", "echo out; echo err >&2; exit 7")
    equal(found, (7, "out\n", "err\n"), "result")


@case
def exec_takes_arguments_as_they_are(ctx):
    words = ["a b", "$HOME", "*", "'\"\\", "", "ü"]
    code, out, _ = run(ctx.sandbox(), "printf", "%s|", *words)
    equal((code, out), (0, "".join(f"{word}|" for word in words)), "result")


@case
def exec_stdin(ctx):
    process = ctx.sandbox().exec("sh", "-c", "cat; echo end >&2")
    process.stdin.write("first\n")
    process.stdin.drain()
    process.stdin.write("second\n")
    process.stdin.write_eof()
    process.stdin.drain()
    equal(process.stdout.read(), "first\nsecond\n", "stdout")
    equal(process.stderr.read(), "end\n", "stderr")
    equal(process.wait(), 0, "exit code")


@case
def exec_stdin_binary_megabytes(ctx):
    data = bytes(range(256)) * 12_000
    process = ctx.sandbox().exec("cat", text=False)
    for start in range(0, len(data), 500_000):
        process.stdin.write(data[start : start + 500_000])
        process.stdin.drain()
    process.stdin.write_eof()
    process.stdin.drain()
    equal(process.stdout.read() == data, True, "echoed input is the same")
    equal(process.wait(), 0, "exit code")


@case
def exec_output_arrives_while_running(ctx):
    process = ctx.sandbox().exec("sh", "-c", "echo one; read line; echo two", bufsize=1)
    lines = iter(process.stdout)
    equal(next(lines), "one\n", "first line")
    equal(process.poll(), None, "poll while it waits for input")
    process.stdin.write("go\n")
    process.stdin.drain()
    equal(next(lines), "two\n", "second line")
    equal(process.wait(), 0, "exit code")


@case
def exec_death_by_signal(ctx):
    code, _, _ = run(ctx.sandbox(), "sh", "-c", "kill -9 $$")
    equal(code, 137, "exit code")


@case
def exec_of_a_missing_program(ctx):
    with raises(modal.exception.InvalidError):
        ctx.sandbox().exec("no-such-program").wait()


@case
def exec_environment_and_secrets(ctx):
    secret = modal.Secret.from_dict({"FROM_SECRET": "s p a c e", "BOTH": "secret"})
    sandbox = ctx.sandbox(env={"OF_SANDBOX": "base", "CHANGED": "old"})
    script = 'printf "%s," "$OF_SANDBOX" "$CHANGED" "$FROM_SECRET" "$BOTH" "$ONLY"'
    _, out, _ = run(sandbox, "sh", "-c", script, env={"CHANGED": "new", "BOTH": "env", "ONLY": "x"}, secrets=[secret])
    equal(out, "base,new,s p a c e,env,x,", "environment of the command")
    _, out, _ = run(sandbox, "sh", "-c", script)
    equal(out, "base,old,,,,", "environment of the next command")


@case
def exec_workdir(ctx):
    sandbox = ctx.sandbox(workdir="/tmp")
    equal(run(sandbox, "pwd")[1], "/tmp\n", "the sandbox's own")
    equal(run(sandbox, "pwd", workdir="/usr/bin")[1], "/usr/bin\n", "the command's own")


@case
def exec_timeout_kills(ctx):
    sandbox = ctx.sandbox()
    process = sandbox.exec("sh", "-c", "echo $$; exec sleep 600", timeout=1)
    pid = process.stdout.read().strip()
    # The client's own deadline gives -1. It runs as long as the server's, whose kill gives 137 when it is seen first.
    equal(process.wait() in (-1, 137), True, "the return code tells of a kill by the timeout")
    gone = f"while kill -0 {pid} 2>/dev/null; do sleep 0.05; done"
    equal(run(sandbox, "sh", "-c", gone, timeout=30)[0], 0, "the process is gone")


@case
def exec_three_megabytes(ctx):
    script = "head -c 3000000 /dev/zero | tr '\\0' a; head -c 100000 /dev/zero | tr '\\0' b >&2"
    code, out, err = run(ctx.sandbox(), "sh", "-c", script, text=False)
    equal(code, 0, "exit code")
    equal(out == b"a" * 3_000_000, True, "stdout is complete")
    equal(err == b"b" * 100_000, True, "stderr is complete")


@case
def exec_nobody_reads(ctx):
    process = ctx.sandbox().exec("sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' a", text=False)
    equal(process.wait(), 0, "exit code without a reader")
    equal(len(process.stdout.read()), 3_000_000, "output read after the end")


@case
def exec_many_at_once(ctx):
    sandbox = ctx.sandbox()

    async def one(number):
        process = await sandbox.exec.aio("sh", "-c", f"read line; echo {number} $line; exit {number}")
        process.stdin.write(f"line {number}\n")
        process.stdin.write_eof()
        await process.stdin.drain.aio()
        out = await process.stdout.read.aio()
        return await process.wait.aio(), out

    async def everything():
        return await asyncio.gather(*[one(number) for number in range(16)])

    wanted = [(number, f"{number} line {number}\n") for number in range(16)]
    equal(asyncio.run(everything()), wanted, "results")


@case
def exec_without_output(ctx):
    process = ctx.sandbox().exec(
        "sh",
        "-c",
        "echo lost; exit 4",
        stdout=modal.stream_type.StreamType.DEVNULL,
        stderr=modal.stream_type.StreamType.DEVNULL,
    )
    equal(process.wait(), 4, "exit code")


@case
def exec_at_a_terminal(ctx):
    script = "stty size; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo err >&2; read line; echo got $line; exit 3"
    process = ctx.sandbox().exec("sh", "-c", script, pty=True)
    process.stdin.write("hello\n")
    process.stdin.drain()
    lines = process.stdout.read().replace("\r\n", "\n").splitlines()
    # What is typed shows as soon as it comes.
    equal(sorted(lines), ["24 80", "err", "got hello", "hello"], "stdout")
    equal(process.stderr.read(), "", "stderr")
    equal(process.wait(), 3, "exit code")


@case
def exec_control_characters_at_a_terminal(ctx):
    sandbox = ctx.sandbox()
    process = sandbox.exec("cat", pty=True)
    process.stdin.write("\x03")
    process.stdin.drain()
    equal(process.wait(), 130, "exit code after Ctrl-C")
    process = sandbox.exec("cat", pty=True)
    process.stdin.write_eof()
    process.stdin.drain()
    equal(process.wait(), 0, "exit code after the end of input")


@case
def main_command_at_a_terminal(ctx):
    sandbox = ctx.sandbox("sh", "-c", "stty size; echo err >&2; exit 4", pty=True)
    equal(sandbox.stdout.read().replace("\r\n", "\n"), "24 80\nerr\n", "stdout")
    sandbox.wait(raise_on_termination=False)
    equal(sandbox.returncode, 4, "exit code")
