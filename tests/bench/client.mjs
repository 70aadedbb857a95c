// The measured operations on the official JavaScript client: `client.mjs OPERATION AMOUNT` prints one line of JSON.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

// The client is installed in the build folder, not beside this file.
const modal = createRequire(join(process.env.BENCH_NPM, "package.json"))("modal");

const WARM_UP = 5;
const WARM_UP_FILES = 2;
const FILES = 3;
const TRUE = "/tmp/true";

/** A line of the kernel's account of this process, in KiB. */
function memory(field) {
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(readFileSync("/proc/self/status", "utf8"))[1]);
}

function cpu() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** One app, one image, one sandbox, and what was measured. */
class Bench {
  #times = [];

  static async open() {
    const bench = new Bench();
    bench.client = new modal.ModalClient({ logLevel: "error" });
    bench.app = await bench.client.apps.fromName("bench-js", { createIfMissing: true });
    bench.image = bench.client.images.fromRegistry("host");
    bench.sandbox = await bench.create();
    return bench;
  }

  async close() {
    await this.sandbox.terminate();
    this.client.close();
  }

  create() {
    return this.client.sandboxes.create(this.app, this.image);
  }

  async run(sandbox, command = ["true"]) {
    const running = await sandbox.exec(command);
    assert.equal(await running.wait(), 0);
  }

  async measured(work) {
    const start = performance.now();
    await work();
    this.#times.push(performance.now() - start);
  }

  /** Runs `work` some times and prints wall times, CPU time of one run, and the memory before and at its peak. */
  async report(runs, work) {
    const [before, start] = [memory("VmRSS"), cpu()];
    for (let done = 0; done < runs; done += 1) await this.measured(work);
    const cpuMs = (cpu() - start) / runs;
    const peak = memory("VmHWM");
    const found = { wall_ms: this.#times, cpu_ms: cpuMs, before_kib: before, peak_kib: peak };
    console.log(JSON.stringify(found));
  }

  async creates(amount) {
    const made = [];
    await this.run(this.sandbox);
    await this.report(amount, async () => {
      made.push(await this.create());
      await this.run(made.at(-1));
    });
    for (const sandbox of made) await sandbox.terminate();
  }

  /** Brings the static program along where it is asked for, and runs it a few times. */
  async warmUp(program) {
    if (program === TRUE) {
      await this.sandbox.filesystem.writeBytes(readFileSync(process.env.BENCH_TRUE), TRUE);
      await this.run(this.sandbox, ["chmod", "755", TRUE]);
    }
    for (let done = 0; done < WARM_UP; done += 1) await this.run(this.sandbox, [program]);
  }

  async execs(amount, program = TRUE) {
    await this.warmUp(program);
    await this.report(amount, () => this.run(this.sandbox, [program]));
  }

  execs_dynamic(amount) {
    return this.execs(amount, "true");
  }

  async output(amount) {
    await this.run(this.sandbox);
    await this.report(1, async () => {
      const command = ["head", "-c", String(amount), "/dev/zero"];
      const running = await this.sandbox.exec(command, { mode: "binary" });
      const reader = running.stdout.getReader();
      let length = 0;
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        length += value.length;
      }
      assert.equal(await running.wait(), 0);
      assert.equal(length, amount);
    });
  }

  async write(amount) {
    const data = new Uint8Array(amount).fill(7);
    await this.run(this.sandbox);
    const one = () => this.sandbox.filesystem.writeBytes(data, "/tmp/data");
    for (let done = 0; done < WARM_UP_FILES; done += 1) await one();
    await this.report(FILES, one);
    assert.equal((await this.sandbox.filesystem.stat("/tmp/data")).size, amount);
  }

  async read(amount) {
    await this.run(this.sandbox, ["sh", "-c", `head -c ${amount} /dev/zero > /tmp/data`]);
    await this.report(1, async () => {
      assert.equal((await this.sandbox.filesystem.readBytes("/tmp/data")).length, amount);
    });
  }

  async many(amount, program = TRUE) {
    await this.warmUp(program);
    const one = () => this.run(this.sandbox, [program]);
    await this.report(1, () => Promise.all(Array.from({ length: amount }, one)));
  }

  many_dynamic(amount) {
    return this.many(amount, "true");
  }
}

const [operation, amount] = process.argv.slice(2);
const bench = await Bench.open();
try {
  await bench[operation](Number(amount));
} finally {
  await bench.close();
}
