// Published ports and readiness probes.

import assert from "node:assert/strict";
import net from "node:net";
import tls from "node:tls";

import { modal, run, test } from "./suite.mjs";

// Listens on the ports of its arguments, and answers each line with the port's number before it.
const LISTENER = `
use IO::Socket::INET;
for my $p (@ARGV) {
    my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $p, Listen => 8) or die;
    next if fork;
    while (my $c = $l->accept) { my $s = <$c>; print $c "$p:$s"; close $c }
}
sleep;
`;

/** What a port answers to a line, and the protocol that was agreed on. */
async function asked(connect, [host, port], options = {}) {
  const stream = connect({ host, port, ...options });
  stream.write("x\n");
  let answer = "";
  for await (const chunk of stream) answer += chunk;
  return [answer, stream.alpnProtocol || null];
}

test("published_ports_are_reached", async (ctx) => {
  if ((await run(await ctx.sandbox(), ["sh", "-c", "command -v perl"]))[0] !== 0) {
    console.log("skipped: image host has no perl to listen with");
    return;
  }
  const sandbox = await ctx.sandbox({
    command: ["perl", "-e", LISTENER, "8001", "8002", "8003"],
    encryptedPorts: [8001],
    unencryptedPorts: [8002],
    h2Ports: [8003],
    readinessProbe: modal.Probe.withTcp(8003),
  });
  await sandbox.waitUntilReady(60_000);
  const tunnels = await sandbox.tunnels();
  assert.deepEqual(Object.keys(tunnels), ["8001", "8002", "8003"]);
  assert.deepEqual(await asked(net.connect, tunnels[8002].tcpSocket), ["8002:x\n", null]);
  // The certificate is the server's own.
  const secure = { rejectUnauthorized: false, ALPNProtocols: ["h2", "http/1.1"] };
  assert.deepEqual(await asked(tls.connect, tunnels[8001].tlsSocket, secure), ["8001:x\n", null]);
  assert.deepEqual(await asked(tls.connect, tunnels[8002].tlsSocket, secure), ["8002:x\n", null]);
  assert.deepEqual(await asked(tls.connect, tunnels[8003].tlsSocket, secure), ["8003:x\n", "h2"]);
});

test("a_probe_is_waited_for", async (ctx) => {
  const script = "if mkdir /tmp/first; then exit 1; fi; exec mkdir /tmp/second";
  const sandbox = await ctx.sandbox({ readinessProbe: modal.Probe.withExec(["sh", "-c", script]) });
  await sandbox.waitUntilReady(60_000);
  assert.equal((await run(sandbox, ["ls", "/tmp/second"]))[0], 0);
  const never = await ctx.sandbox({ readinessProbe: modal.Probe.withExec(["false"]) });
  await assert.rejects(never.waitUntilReady(1000), modal.TimeoutError);
});
