// Images of a registry on loopback, and images that are built. The client shows nothing of a build's log.

import assert from "node:assert/strict";

import { run, test } from "./suite.mjs";

/** A setting of the registry's; undefined, and a word why, where there is no registry. */
function registry(name) {
  const value = process.env[name];
  if (value === undefined) console.log("skipped: no docker-registry is installed");
  return value;
}

test("image_of_a_registry", async (ctx) => {
  const reference = registry("INTEROP_REGISTRY_IMAGE");
  if (reference === undefined) return;
  const sandbox = await ctx.sandbox({}, ctx.client.images.fromRegistry(reference));
  assert.equal((await run(sandbox, ["cat", "/etc/imported"]))[1], "imported\n");
  const build = () => ctx.client.images.fromRegistry(reference).build(ctx.app);
  assert.equal((await build()).imageId, (await build()).imageId);
  const missing = ctx.client.images.fromRegistry(`${reference}-none`).build(ctx.app);
  await assert.rejects(missing, /has no image/);
});

test("image_of_a_registry_with_credentials", async (ctx) => {
  const reference = registry("INTEROP_PRIVATE_IMAGE");
  if (reference === undefined) return;
  await assert.rejects(ctx.client.images.fromRegistry(reference).build(ctx.app), /without credentials/);
  const secret = await ctx.client.secrets.fromObject({
    REGISTRY_USERNAME: process.env.INTEROP_USERNAME,
    REGISTRY_PASSWORD: process.env.INTEROP_PASSWORD,
  });
  const sandbox = await ctx.sandbox({}, ctx.client.images.fromRegistry(reference, secret));
  assert.equal((await run(sandbox, ["cat", "/etc/imported"]))[1], "imported\n");
});

test("image_with_commands", async (ctx) => {
  const secret = await ctx.client.secrets.fromObject({ HIDDEN: "seen" });
  const define = () =>
    ctx.client.images
      .fromRegistry("host")
      .dockerfileCommands(["ENV KEPT=kept", "WORKDIR /srv/work"])
      .dockerfileCommands(["RUN echo $KEPT $HIDDEN > made"], { secrets: [secret] });
  const image = await define().build(ctx.app);
  const sandbox = await ctx.sandbox({}, image);
  const [, out] = await run(sandbox, ["sh", "-c", "cat made; echo ${HIDDEN-none}; pwd"]);
  assert.equal(out, "kept seen\nnone\n/srv/work\n");
  assert.equal((await define().build(ctx.app)).imageId, image.imageId);
});

test("image_with_a_failing_command", async (ctx) => {
  const image = ctx.client.images.fromRegistry("host").dockerfileCommands(["RUN exit 7"]);
  await assert.rejects(image.build(ctx.app), /line 2 \(RUN exit 7\): it exited with code 7/);
});
