// Files, images and snapshots.

import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { modal, rejects, run, test } from "./suite.mjs";

test("file_binary_round_trip", async (ctx) => {
  const files = (await ctx.sandbox()).filesystem;
  const data = Buffer.alloc(1 << 20, Uint8Array.from({ length: 256 }, (_, index) => index));
  await files.writeBytes(data, "/tmp/new/folder/data.bin");
  assert.ok(data.equals(Buffer.from(await files.readBytes("/tmp/new/folder/data.bin"))), "content is the same");
  await files.writeBytes(Buffer.from("short"), "/tmp/new/folder/data.bin");
  assert.equal(await files.readText("/tmp/new/folder/data.bin"), "short");
  await files.writeBytes(new Uint8Array(), "/tmp/empty");
  assert.equal((await files.readBytes("/tmp/empty")).length, 0);
});

test("file_of_five_megabytes", async (ctx) => {
  const sandbox = await ctx.sandbox();
  const data = Buffer.alloc(5_280_000, "0123456789abcdef");
  await sandbox.filesystem.writeBytes(data, "/tmp/big");
  assert.equal((await run(sandbox, ["stat", "-c", "%s", "/tmp/big"]))[1], `${data.length}\n`);
  assert.ok(data.equals(Buffer.from(await sandbox.filesystem.readBytes("/tmp/big"))), "content is the same");
});

test("file_seen_by_commands_and_back", async (ctx) => {
  const sandbox = await ctx.sandbox();
  await sandbox.filesystem.writeText("grüße\n", "/tmp/text");
  assert.equal((await run(sandbox, ["cat", "/tmp/text"]))[1], "grüße\n");
  await run(sandbox, ["sh", "-c", "echo back > /tmp/back"]);
  assert.equal(await sandbox.filesystem.readText("/tmp/back"), "back\n");
});

test("file_list_and_stat", async (ctx) => {
  const files = (await ctx.sandbox()).filesystem;
  await files.makeDirectory("/tmp/list/inner");
  await files.writeText("12345", "/tmp/list/a file");
  const found = (await files.listFiles("/tmp/list")).map((entry) => [entry.name, entry.type, entry.path]);
  assert.deepEqual(found, [
    ["a file", "file", "/tmp/list/a file"],
    ["inner", "directory", "/tmp/list/inner"],
  ]);
  const entry = await files.stat("/tmp/list/a file");
  assert.deepEqual([entry.size, entry.type, entry.symlinkTarget], [5, "file", null]);
});

test("file_stat_shows_the_link_itself", async (ctx) => {
  const sandbox = await ctx.sandbox();
  await run(sandbox, ["ln", "-s", "/nowhere", "/tmp/link"]);
  const entry = await sandbox.filesystem.stat("/tmp/link");
  assert.deepEqual([entry.type, entry.symlinkTarget], ["symlink", "/nowhere"]);
});

test("file_copied_from_and_to_this_machine", async (ctx) => {
  const files = (await ctx.sandbox()).filesystem;
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "copy-"));
  try {
    const data = Buffer.alloc(2_560_000, Uint8Array.from({ length: 256 }, (_, index) => index));
    fs.writeFileSync(path.join(folder, "in"), data);
    await files.copyFromLocal(path.join(folder, "in"), "/tmp/new/folder/copy");
    await files.copyToLocal("/tmp/new/folder/copy", path.join(folder, "out"));
    assert.ok(data.equals(fs.readFileSync(path.join(folder, "out"))), "content is the same");
    await rejects(files.copyToLocal("/tmp/none", path.join(folder, "none")), modal.SandboxFilesystemNotFoundError);
    assert.ok(!fs.existsSync(path.join(folder, "none")));
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

test("file_watch_tells_changes_until_it_is_closed", async (ctx) => {
  const sandbox = await ctx.sandbox();
  const files = sandbox.filesystem;
  await files.makeDirectory("/tmp/w");
  // The iterator begins when it is asked for its first event, so changes go on until that is there.
  const script = "while [ ! -e /tmp/stop ]; do : > /tmp/w/a; mv /tmp/w/a /tmp/w/b; rm /tmp/w/b; done";
  await sandbox.exec(["sh", "-c", script]);
  const wanted = new Set(["Create /tmp/w/a", "Modify /tmp/w/a /tmp/w/b", "Remove /tmp/w/b"]);
  for await (const event of files.watch("/tmp/w")) {
    wanted.delete([event.eventType, ...event.paths].join(" "));
    if (wanted.size === 0) break;
  }
  assert.equal(wanted.size, 0);
  await files.writeText("", "/tmp/stop");
});

test("file_watch_below_with_a_filter_and_a_time", async (ctx) => {
  const sandbox = await ctx.sandbox();
  const files = sandbox.filesystem;
  await files.makeDirectory("/tmp/w");
  const script = "while [ ! -e /tmp/stop ]; do mkdir -p /tmp/w/d/deep; : > /tmp/w/d/deep/f; rm -r /tmp/w/d; done";
  await sandbox.exec(["sh", "-c", script]);
  for await (const event of files.watch("/tmp/w", { recursive: true, filter: ["Create"] })) {
    assert.equal(event.eventType, "Create");
    if (event.paths[0].endsWith("/deep/f")) break;
  }
  await files.writeText("", "/tmp/stop");
  for await (const event of files.watch("/tmp/w", { filter: [], timeoutMs: 1500 })) {
    assert.fail(`an empty filter let ${event.eventType} through`);
  }
  const first = (place) => files.watch(place)[Symbol.asyncIterator]().next();
  await rejects(first("/tmp/none"), modal.SandboxFilesystemNotFoundError);
  await rejects(first("/proc"), modal.InvalidError);
});

test("file_remove", async (ctx) => {
  const files = (await ctx.sandbox()).filesystem;
  await files.writeText("x", "/tmp/tree/inner/file");
  await rejects(files.remove("/tmp/tree"), modal.SandboxFilesystemDirectoryNotEmptyError);
  await files.remove("/tmp/tree/inner/file");
  await files.remove("/tmp/tree", { recursive: true });
  await rejects(files.stat("/tmp/tree"), modal.SandboxFilesystemNotFoundError);
});

test("file_errors_by_class", async (ctx) => {
  const files = (await ctx.sandbox()).filesystem;
  await files.makeDirectory("/tmp/folder");
  await files.writeText("x", "/tmp/file");
  const big = Buffer.alloc(3_000_000, "y");
  await rejects(files.readBytes("/tmp/missing"), modal.SandboxFilesystemNotFoundError);
  await rejects(files.readBytes("/tmp/folder"), modal.SandboxFilesystemIsADirectoryError);
  await rejects(files.writeBytes(big, "/tmp/folder"), modal.SandboxFilesystemIsADirectoryError);
  await rejects(files.listFiles("/tmp/file"), modal.SandboxFilesystemNotADirectoryError);
  await rejects(files.writeText("y", "/tmp/file/below"), modal.SandboxFilesystemNotADirectoryError);
  const once = { createParents: false };
  await rejects(files.makeDirectory("/tmp/folder", once), modal.SandboxFilesystemPathAlreadyExistsError);
  await rejects(files.makeDirectory("/tmp/a/b", once), modal.SandboxFilesystemNotFoundError);
  await rejects(files.remove("/tmp/missing"), modal.SandboxFilesystemNotFoundError);
});

test("image_host_builds_once", async (ctx) => {
  const first = await ctx.client.images.fromRegistry("host").build(ctx.app);
  const second = await ctx.client.images.fromRegistry("host").build(ctx.app);
  assert.match(first.imageId, /^im-/);
  assert.equal(first.imageId, second.imageId);
});

test("image_from_an_imported_archive", async (ctx) => {
  const sandbox = await ctx.sandbox({}, ctx.archive);
  const script = "cat /etc/imported; echo $IMPORTED; test -e /etc/doomed || echo gone";
  assert.deepEqual(await run(sandbox, ["sh", "-c", script]), [0, "imported\nyes\ngone\n", ""]);
  const programs = await sandbox.filesystem.listFiles("/usr/bin");
  assert.ok(programs.length < 60, `${programs.length} programs: the image's own and not the host's`);
  const built = await ctx.archive.build(ctx.app);
  const again = await ctx.sandbox({}, await ctx.client.images.fromId(built.imageId));
  assert.equal(await again.filesystem.readText("/etc/imported"), "imported\n");
  assert.equal(await sandbox.poll(), null);
});

test("image_of_an_unknown_name_is_a_build_error", async (ctx) => {
  const image = ctx.client.images.fromRegistry("interop/never-imported:1");
  await assert.rejects(image.build(ctx.app), /interop\/never-imported/);
});

test("image_of_an_unknown_id", async (ctx) => {
  await rejects(ctx.client.images.fromId("im-0000000000000000000000"), modal.NotFoundError);
});

test("snapshot_and_create_from_it", async (ctx) => {
  const sandbox = await ctx.sandbox();
  await sandbox.filesystem.writeText("kept", "/root/kept");
  const setup = "mkdir /srv/deep && chmod 750 /srv/deep && ln -s /root/kept /srv/deep/link";
  assert.equal((await run(sandbox, ["sh", "-c", setup]))[0], 0);
  const image = await sandbox.snapshotFilesystem();
  await sandbox.filesystem.writeText("changed", "/root/kept");
  assert.equal(await sandbox.poll(), null);
  const restored = await ctx.sandbox({}, image);
  assert.notEqual(restored.sandboxId, sandbox.sandboxId);
  assert.equal(await restored.filesystem.readText("/root/kept"), "kept");
  assert.equal((await run(restored, ["cat", "/srv/deep/link"]))[1], "kept");
  assert.equal((await run(restored, ["stat", "-c", "%a %U", "/srv/deep"]))[1], "750 root\n");
  assert.equal(await sandbox.filesystem.readText("/root/kept"), "changed");
});

test("snapshot_of_a_snapshot", async (ctx) => {
  const first = await ctx.sandbox();
  await first.filesystem.writeText("1", "/root/first");
  const second = await ctx.sandbox({}, await first.snapshotFilesystem());
  await second.filesystem.writeText("2", "/root/second");
  await second.filesystem.remove("/root/first");
  const third = await ctx.sandbox({}, await second.snapshotFilesystem());
  const names = (await third.filesystem.listFiles("/root")).map((entry) => entry.name);
  assert.deepEqual(names, ["second"]);
});
