// Running commands: streams, exit codes, input, environment, limits.

import assert from "node:assert/strict";

import { rejectsWithStatus, run, test } from "./suite.mjs";

const INVALID_ARGUMENT = 3;

test("exec_streams_and_exit_code", async (ctx) => {
  const found = await run(await ctx.sandbox(), ["sh", "-c", "echo out; echo err >&2; exit 7"]);
  assert.deepEqual(found, [7, "out\n", "err\n"]);
});

test("exec_takes_arguments_as_they_are", async (ctx) => {
  const words = ["a b", "$HOME", "*", "'\"\\", "", "ü"];
  const [code, out] = await run(await ctx.sandbox(), ["printf", "%s|", ...words]);
  assert.deepEqual([code, out], [0, words.map((word) => `${word}|`).join("")]);
});

test("exec_stdin", async (ctx) => {
  const sandbox = await ctx.sandbox();
  const process = await sandbox.exec(["sh", "-c", "cat; echo end >&2"]);
  const writer = process.stdin.getWriter();
  await writer.write("first\n");
  await writer.write("second\n");
  await writer.close();
  assert.equal(await process.stdout.readText(), "first\nsecond\n");
  assert.equal(await process.stderr.readText(), "end\n");
  assert.equal(await process.wait(), 0);
});

test("exec_stdin_binary_megabytes", async (ctx) => {
  const sandbox = await ctx.sandbox();
  const data = Buffer.alloc(3_072_000, Uint8Array.from({ length: 256 }, (_, index) => index));
  const process = await sandbox.exec(["cat"], { mode: "binary" });
  const writer = process.stdin.getWriter();
  for (let start = 0; start < data.length; start += 500_000) {
    await writer.write(new Uint8Array(data.subarray(start, start + 500_000)));
  }
  await writer.close();
  assert.ok(data.equals(Buffer.from(await process.stdout.readBytes())), "echoed input is the same");
  assert.equal(await process.wait(), 0);
});

test("exec_output_arrives_while_running", async (ctx) => {
  const sandbox = await ctx.sandbox();
  const process = await sandbox.exec(["sh", "-c", "echo one; read line; echo two"]);
  const reader = process.stdout.getReader();
  assert.equal((await reader.read()).value, "one\n");
  const writer = process.stdin.getWriter();
  await writer.write("go\n");
  assert.equal((await reader.read()).value, "two\n");
  assert.equal(await process.wait(), 0);
});

test("exec_death_by_signal", async (ctx) => {
  const [code] = await run(await ctx.sandbox(), ["sh", "-c", "kill -9 $$"]);
  assert.equal(code, 137);
});

test("exec_of_a_missing_program", async (ctx) => {
  const sandbox = await ctx.sandbox();
  await rejectsWithStatus(sandbox.exec(["no-such-program"]), INVALID_ARGUMENT);
});

test("exec_environment_and_secrets", async (ctx) => {
  const secret = await ctx.client.secrets.fromObject({ FROM_SECRET: "s p a c e", BOTH: "secret" });
  const sandbox = await ctx.sandbox({ env: { OF_SANDBOX: "base", CHANGED: "old" } });
  const script = 'printf "%s," "$OF_SANDBOX" "$CHANGED" "$FROM_SECRET" "$BOTH" "$ONLY"';
  const options = { env: { CHANGED: "new", BOTH: "env", ONLY: "x" }, secrets: [secret] };
  assert.equal((await run(sandbox, ["sh", "-c", script], options))[1], "base,new,s p a c e,env,x,");
  assert.equal((await run(sandbox, ["sh", "-c", script]))[1], "base,old,,,,");
});

test("exec_workdir", async (ctx) => {
  const sandbox = await ctx.sandbox({ workdir: "/tmp" });
  assert.equal((await run(sandbox, ["pwd"]))[1], "/tmp\n");
  assert.equal((await run(sandbox, ["pwd"], { workdir: "/usr/bin" }))[1], "/usr/bin\n");
});

test("exec_timeout_kills", async (ctx) => {
  const sandbox = await ctx.sandbox();
  const process = await sandbox.exec(["sh", "-c", "echo $$ > /tmp/pid; exec sleep 600"], { timeoutMs: 1000 });
  // The client's own deadline and the server's answer race: either a rejection or 128 + SIGKILL.
  const outcome = await process.wait().catch(() => 137);
  assert.equal(outcome, 137);
  const gone = 'read pid < /tmp/pid; while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done';
  assert.equal((await run(sandbox, ["sh", "-c", gone], { timeoutMs: 30_000 }))[0], 0);
});

test("exec_three_megabytes", async (ctx) => {
  const script = "head -c 3000000 /dev/zero | tr '\\0' a; head -c 100000 /dev/zero | tr '\\0' b >&2";
  const [code, out, err] = await run(await ctx.sandbox(), ["sh", "-c", script]);
  assert.equal(code, 0);
  assert.ok(out === "a".repeat(3_000_000), `stdout is complete (${out.length})`);
  assert.ok(err === "b".repeat(100_000), `stderr is complete (${err.length})`);
});

test("exec_nobody_reads", async (ctx) => {
  const sandbox = await ctx.sandbox();
  const process = await sandbox.exec(["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' a"]);
  assert.equal(await process.wait(), 0);
  assert.equal((await process.stdout.readText()).length, 3_000_000);
});

test("exec_many_at_once", async (ctx) => {
  const sandbox = await ctx.sandbox();
  const one = async (number) => {
    const process = await sandbox.exec(["sh", "-c", `read line; echo ${number} $line; exit ${number}`]);
    const writer = process.stdin.getWriter();
    await writer.write(`line ${number}\n`);
    await writer.close();
    const out = await process.stdout.readText();
    return [await process.wait(), out];
  };
  const numbers = Array.from({ length: 16 }, (_, index) => index);
  const wanted = numbers.map((number) => [number, `${number} line ${number}\n`]);
  assert.deepEqual(await Promise.all(numbers.map(one)), wanted);
});

test("exec_without_output", async (ctx) => {
  const sandbox = await ctx.sandbox();
  const process = await sandbox.exec(["sh", "-c", "echo lost; exit 4"], { stdout: "ignore", stderr: "ignore" });
  assert.equal(await process.wait(), 4);
});

test("exec_at_a_terminal", async (ctx) => {
  const sandbox = await ctx.sandbox();
  const script = 'stty size; [ -t 2 ] && echo $TERM $COLORTERM >&2; read line; echo "got $line"; exit 3';
  const process = await sandbox.exec(["sh", "-c", script], { pty: true });
  const writer = process.stdin.getWriter();
  await writer.write("hello\n");
  const lines = (await process.stdout.readText()).trimEnd().split("\r\n");
  // What is typed shows as soon as it comes.
  assert.deepEqual(lines.sort(), ["24 80", "got hello", "hello", "xterm-256color truecolor"]);
  assert.equal(await process.stderr.readText(), "");
  assert.equal(await process.wait(), 3);
});

test("exec_control_characters_at_a_terminal", async (ctx) => {
  const sandbox = await ctx.sandbox();
  const interrupted = await sandbox.exec(["cat"], { pty: true });
  await interrupted.stdin.getWriter().write("\x03");
  assert.equal(await interrupted.wait(), 130);
  const ended = await sandbox.exec(["cat"], { pty: true });
  await ended.stdin.getWriter().close();
  assert.equal(await ended.wait(), 0);
});

test("main_command_at_a_terminal", async (ctx) => {
  const sandbox = await ctx.sandbox({ command: ["sh", "-c", "stty size; echo err >&2; exit 4"], pty: true });
  assert.equal((await sandbox.stdout.readText()).replaceAll("\r\n", "\n"), "24 80\nerr\n");
  assert.equal(await sandbox.wait(), 4);
});
