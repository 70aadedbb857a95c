// Named cases: how they are declared, run and cleaned up.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

// The client is installed in the build folder, not beside this file.
const require = createRequire(join(process.env.INTEROP_NPM, "package.json"));

/** The official client. */
export const modal = require("modal");

/** Which generation of sandbox calls this run makes. */
export const isV2 = process.env.MODAL_SANDBOX_V2 === "1";

/** gRPC status codes that reach the caller as they are. */
export const UNIMPLEMENTED = 12;

const cases = [];

/** Declares a case. */
export function test(name, run) {
  cases.push({ name, run });
}

/** What every case works with: a client, one app, the two images, and sandboxes that end with the case. */
class Context {
  appName = "interop-js";
  #opened = [];

  static async open() {
    const context = new Context();
    context.client = new modal.ModalClient({ logLevel: "error" });
    context.app = await context.client.apps.fromName(context.appName, { createIfMissing: true });
    context.host = context.client.images.fromRegistry("host");
    context.archive = context.client.images.fromRegistry(process.env.INTEROP_ARCHIVE_IMAGE);
    return context;
  }

  /** Creates a sandbox that is terminated when the case ends. */
  async sandbox(params = {}, image = this.host) {
    const made = await this.client.sandboxes.create(this.app, image, params);
    this.#opened.push(made.sandboxId);
    return made;
  }

  async close() {
    for (const id of this.#opened) {
      const sandbox = await this.client.sandboxes.fromId(id);
      await sandbox.terminate();
      sandbox.detach();
    }
    this.client.close();
  }
}

/** Runs a command to its end: exit code, standard output, standard error. */
export async function run(sandbox, command, params = {}) {
  const process = await sandbox.exec(command, params);
  const [out, err] = await Promise.all([process.stdout.readText(), process.stderr.readText()]);
  return [await process.wait(), out, err];
}

/** The sandboxes that a listing gives, as ids. */
export async function listed(context, params = {}) {
  const found = [];
  for await (const sandbox of context.client.sandboxes.list({ appId: context.app.appId, ...params })) {
    found.push(sandbox.sandboxId);
  }
  return found;
}

/** Fails unless the promise is rejected with this class. */
export async function rejects(promise, kind) {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof kind, `rejected with ${error?.name}: ${error?.message}, wanted ${kind.name}`);
    return true;
  });
}

/** Fails unless the promise is rejected with this gRPC status. */
export async function rejectsWithStatus(promise, code) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.code, code, `rejected with ${error?.name}: ${error?.message}, wanted status ${code}`);
    return true;
  });
}

/** Runs the cases that the arguments name, or all of them. */
export async function main() {
  const wanted = process.argv.slice(2);
  let failed = 0;
  for (const { name, run: body } of cases) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const start = performance.now();
    try {
      const context = await Context.open();
      try {
        await body(context);
      } finally {
        await context.close();
      }
      console.log(`ok ${name} (${((performance.now() - start) / 1000).toFixed(2)} s)`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED ${name}: ${error?.name}: ${error?.message}`);
      console.error(error);
    }
  }
  process.exit(failed === 0 ? 0 : 1);
}
