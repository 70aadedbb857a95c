// Volumes: by name, shared, read-only, in part, nameless, deleted.

import assert from "node:assert/strict";

import { modal, rejects, rejectsWithStatus, run, test } from "./suite.mjs";

const FAILED_PRECONDITION = 9;

/** Works with a volume that is deleted when the work ends. */
async function withVolume(ctx, name, work) {
  const volume = await ctx.client.volumes.fromName(name, { createIfMissing: true });
  try {
    await work(volume);
  } finally {
    await ctx.client.volumes.delete(name, { allowMissing: true });
  }
}

test("volume_shared_by_two_sandboxes", async (ctx) => {
  await withVolume(ctx, "interop-js-shared", async (volume) => {
    assert.match(volume.volumeId, /^vo-/);
    const one = await ctx.sandbox({ volumes: { "/data": volume } });
    const other = await ctx.sandbox({ volumes: { "/mnt/data": volume } });
    assert.equal((await run(one, ["sh", "-c", "echo said > /data/file"]))[0], 0);
    await other.reloadVolumes();
    assert.deepEqual(await run(other, ["cat", "/mnt/data/file"]), [0, "said\n", ""]);
    await rejectsWithStatus(ctx.client.volumes.delete("interop-js-shared"), FAILED_PRECONDITION);
    await one.terminate({ wait: true });
    await other.terminate({ wait: true });
    const found = await ctx.client.volumes.fromName("interop-js-shared");
    const again = await ctx.sandbox({ command: ["cat", "/data/file"], volumes: { "/data": found } });
    assert.equal(await again.wait(), 0);
    assert.equal(await again.stdout.readText(), "said\n");
  });
});

test("volume_mount_options", async (ctx) => {
  await withVolume(ctx, "interop-js-options", async (volume) => {
    const part = volume.withMountOptions({ subPath: "/users/one" });
    const writer = await ctx.sandbox({ command: ["sh", "-c", "echo 1 > /home/mine"], volumes: { "/home": part } });
    assert.equal(await writer.wait(), 0);
    const reader = await ctx.sandbox({ volumes: { "/data": volume.withMountOptions({ readOnly: true }) } });
    assert.deepEqual(await run(reader, ["cat", "/data/users/one/mine"]), [0, "1\n", ""]);
    const [code, , err] = await run(reader, ["touch", "/data/x"]);
    assert.equal(code, 1);
    assert.match(err, /Read-only/);
    await reader.terminate({ wait: true });
  });
});

test("volume_that_is_missing", async (ctx) => {
  await rejects(ctx.client.volumes.fromName("interop-js-never-made"), modal.NotFoundError);
  await ctx.client.volumes.delete("interop-js-never-made", { allowMissing: true });
});

test("volume_ephemeral", async (ctx) => {
  const volume = await ctx.client.volumes.ephemeral();
  try {
    const script = "echo 1 > /data/x; cat /data/x";
    const sandbox = await ctx.sandbox({ command: ["sh", "-c", script], volumes: { "/data": volume } });
    assert.equal(await sandbox.wait(), 0);
    assert.equal(await sandbox.stdout.readText(), "1\n");
  } finally {
    volume.closeEphemeral();
  }
});
