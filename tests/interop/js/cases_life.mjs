// Apps, the life of sandboxes, names, tags, and errors by class.

import assert from "node:assert/strict";

import { UNIMPLEMENTED, isV2, listed, modal, rejects, rejectsWithStatus, run, test } from "./suite.mjs";

const NOT_FOUND = 5;
const UNAUTHENTICATED = 16;

test("app_lookup", async (ctx) => {
  const again = await ctx.client.apps.fromName(ctx.appName);
  assert.equal(again.appId, ctx.app.appId);
  assert.match(again.appId, /^ap-/);
  await rejects(ctx.client.apps.fromName("interop-never-made"), modal.NotFoundError);
});

test("poll_terminate_poll", async (ctx) => {
  const sandbox = await ctx.sandbox();
  assert.equal(await sandbox.poll(), null);
  await sandbox.terminate();
  assert.equal(await sandbox.poll(), 137);
  await sandbox.terminate();
  assert.equal(await sandbox.poll(), 137);
});

test("terminate_and_wait", async (ctx) => {
  const sandbox = await ctx.sandbox();
  assert.equal(await sandbox.terminate({ wait: true }), 137);
});

test("main_process_streams_and_exit_code", async (ctx) => {
  const script = "echo ready; read line; echo got $line; echo bad >&2; exit 3";
  const sandbox = await ctx.sandbox({ command: ["sh", "-c", script] });
  const writer = sandbox.stdin.getWriter();
  await writer.write("input\n");
  await writer.close();
  assert.equal(await sandbox.wait(), 3);
  assert.equal(await sandbox.stdout.readText(), "ready\ngot input\n");
  assert.equal(await sandbox.stderr.readText(), "bad\n");
  assert.equal(await sandbox.poll(), 3);
});

test("life_time_ends_the_sandbox", async (ctx) => {
  const sandbox = await ctx.sandbox({ command: ["sleep", "600"], timeoutMs: 2000 });
  assert.equal(await sandbox.wait(), 124);
  assert.equal(await sandbox.poll(), 124);
});

test("sandbox_environment_and_secrets", async (ctx) => {
  // Values that must show nowhere, where a run plants some.
  const [plain, hidden] = ["ENV", "SECRET"].map((name) => process.env[`OPENLATTICE_TEST_PLANT_${name}`] ?? name);
  const secret = await ctx.client.secrets.fromObject({ FROM_SECRET: hidden, BOTH: "secret" });
  const script = 'printf "%s," "$PLAIN" "$FROM_SECRET" "$BOTH"';
  const options = { env: { PLAIN: plain, BOTH: "env" }, secrets: [secret] };
  const main = await ctx.sandbox({ command: ["sh", "-c", script], ...options });
  assert.equal(await main.wait(), 0);
  assert.equal(await main.stdout.readText(), `${plain},${hidden},env,`);
  assert.equal((await run(await ctx.sandbox(options), ["sh", "-c", script]))[1], `${plain},${hidden},env,`);
});

test("from_id", async (ctx) => {
  const sandbox = await ctx.sandbox();
  const same = await ctx.client.sandboxes.fromId(sandbox.sandboxId);
  assert.equal(await same.poll(), null);
  assert.equal((await run(same, ["echo", "hello"]))[1], "hello\n");
  await sandbox.terminate();
  assert.equal(await (await ctx.client.sandboxes.fromId(sandbox.sandboxId)).poll(), 137);
  const unknown = isV2 ? "sb-00000000000000000000000000" : "sb-0000000000000000000000";
  await rejectsWithStatus((await ctx.client.sandboxes.fromId(unknown)).poll(), NOT_FOUND);
});

test("id_shape_tells_the_generation", async (ctx) => {
  const tail = (await ctx.sandbox()).sandboxId.slice("sb-".length);
  assert.equal(tail.length !== 22, isV2);
});

test("list_of_an_app", async (ctx) => {
  const made = [await ctx.sandbox(), await ctx.sandbox(), await ctx.sandbox()];
  const ids = made.map((sandbox) => sandbox.sandboxId);
  const found = await listed(ctx);
  assert.ok(ids.every((id) => found.includes(id)), "all of them are listed");
  await made[0].terminate({ wait: true });
  const later = await listed(ctx);
  assert.deepEqual(ids.map((id) => later.includes(id)), [false, true, true]);
  const other = await ctx.client.apps.fromName("interop-js-other", { createIfMissing: true });
  assert.deepEqual(await listed(ctx, { appId: other.appId }), []);
});

test("tags", async (ctx) => {
  const tagged = await ctx.sandbox();
  await tagged.setTags({ kind: "test", round: "1" });
  assert.deepEqual(await tagged.getTags(), { kind: "test", round: "1" });
  await (await ctx.sandbox()).setTags({ kind: "test" });
  assert.deepEqual(await listed(ctx, { tags: { kind: "test", round: "1" } }), [tagged.sandboxId]);
  assert.equal((await listed(ctx, { tags: { kind: "test" } })).length, 2);
  await tagged.setTags({ other: "x" });
  assert.deepEqual(await tagged.getTags(), { other: "x" });
});

test("tags_given_at_creation", async (ctx) => {
  assert.deepEqual(await (await ctx.sandbox({ tags: { at: "birth" } })).getTags(), { at: "birth" });
});

test("names", async (ctx) => {
  const sandbox = await ctx.sandbox({ name: "interop-name" });
  const named = () => ctx.client.sandboxes.fromName(ctx.appName, "interop-name");
  assert.equal((await named()).sandboxId, sandbox.sandboxId);
  await rejects(ctx.sandbox({ name: "interop-name" }), modal.AlreadyExistsError);
  await sandbox.terminate({ wait: true });
  await rejects(named(), modal.NotFoundError);
  await ctx.sandbox({ name: "interop-name" });
});

test("exec_in_an_ended_sandbox", async (ctx) => {
  const sandbox = await ctx.sandbox();
  await sandbox.terminate({ wait: true });
  await assert.rejects(sandbox.exec(["true"]));
});

test("wrong_credentials", async (ctx) => {
  const client = new modal.ModalClient({ tokenId: "ak-wrong", tokenSecret: "as-wrong", logLevel: "error" });
  await rejectsWithStatus(client.apps.fromName(ctx.appName), UNAUTHENTICATED);
  client.close();
});

test("blocked_network_is_honoured", async (ctx) => {
  const sandbox = await ctx.sandbox({ blockNetwork: true });
  assert.equal((await run(sandbox, ["ls", "/sys/class/net"]))[1].trim(), "lo");
});

test("what_is_not_offered_is_refused", async (ctx) => {
  await rejectsWithStatus(ctx.sandbox({ gpu: "H100" }), UNIMPLEMENTED);
  await rejectsWithStatus(ctx.sandbox({ outboundCidrAllowlist: ["10.0.0.0/8"] }), UNIMPLEMENTED);
});
