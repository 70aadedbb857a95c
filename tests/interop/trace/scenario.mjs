// The scenario of the comparison of calls, on the official JavaScript client.

import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.INTEROP_NPM, "package.json"));
const { ModalClient } = require("modal");

const client = new ModalClient({ logLevel: "error" });
const app = await client.apps.fromName("trace", { createIfMissing: true });
const image = client.images.fromRegistry("host");
const sandbox = await client.sandboxes.create(app, image, { name: "traced", encryptedPorts: [8000] });
await sandbox.setTags({ kind: "traced" });
const hello = await sandbox.exec(["echo", "hello"]);
await hello.stdout.readText();
await hello.wait();
const cat = await sandbox.exec(["cat"], { env: { A: "1" }, workdir: "/tmp", timeoutMs: 60_000 });
const writer = cat.stdin.getWriter();
await writer.write("input");
await writer.close();
await cat.stdout.readText();
await cat.wait();
await sandbox.filesystem.writeBytes(Buffer.from("content"), "/tmp/file");
await sandbox.filesystem.readBytes("/tmp/file");
const kept = await sandbox.snapshotFilesystem();
const copy = await client.sandboxes.create(app, kept);
await copy.terminate();
await sandbox.tunnels();
for await (const _ of client.sandboxes.list({ appId: app.appId, tags: await sandbox.getTags() }));
await client.sandboxes.fromName("trace", "traced");
const same = await client.sandboxes.fromId(sandbox.sandboxId);
await same.poll();
const yes = await same.exec(["true"]);
await yes.stdout.readText();
await yes.wait();
await sandbox.terminate();
await sandbox.wait();
await sandbox.poll();
client.close();
