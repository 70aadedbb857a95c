"""Published ports and readiness probes."""

import socket
import ssl

import modal
from suite import case, equal, raises, run

# Listens on the ports of its arguments, and answers each line with the port's number before it.
LISTENER = """
use IO::Socket::INET;
for my $p (@ARGV) {
    my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $p, Listen => 8) or die;
    next if fork;
    while (my $c = $l->accept) { my $s = <$c>; print $c "$p:$s"; close $c }
}
sleep;
"""


def has_perl(ctx):
    """Says whether the image has a program that can listen, and prints when not."""
    there = run(ctx.sandbox(), "sh", "-c", "command -v perl")[0] == 0
    if not there:
        print("skipped: image host has no perl to listen with", flush=True)
    return there


def asked(address, wrap=None):
    """What a port answers to a line."""
    with socket.create_connection(address) as plain, (wrap or (lambda it: it))(plain) as stream:
        stream.sendall(b"x\n")
        return stream.recv(100)


@case
def published_ports_are_reached(ctx):
    if not has_perl(ctx):
        return
    sandbox = ctx.sandbox(
        *("perl", "-e", LISTENER, "8001", "8002", "8003"),
        encrypted_ports=[8001],
        unencrypted_ports=[8002],
        h2_ports=[8003],
        readiness_probe=modal.Probe.with_tcp(8003),
    )
    sandbox.wait_until_ready(timeout=60)
    tunnels = sandbox.tunnels()
    equal(sorted(tunnels), [8001, 8002, 8003], "ports")
    equal(modal.Sandbox.from_id(sandbox.object_id).tunnels(), tunnels, "tunnels through the id")
    equal(asked(tunnels[8002].tcp_socket), b"8002:x\n", "answer of the plain port")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    for port, protocol in ((8001, None), (8002, None), (8003, "h2")):
        seen = []

        def wrap(stream, seen=seen):
            secure = context.wrap_socket(stream)
            seen.append(secure.selected_alpn_protocol())
            return secure

        equal(asked(tunnels[port].tls_socket, wrap), f"{port}:x\n".encode(), f"answer of port {port}")
        equal(seen, [protocol], f"protocol of port {port}")


@case
def a_probe_is_waited_for(ctx):
    script = "if mkdir /tmp/first; then exit 1; fi; exec mkdir /tmp/second"
    sandbox = ctx.sandbox(readiness_probe=modal.Probe.with_exec("sh", "-c", script))
    sandbox.wait_until_ready(timeout=60)
    equal(run(sandbox, "ls", "/tmp/second")[0], 0, "the probe ran twice")
    never = ctx.sandbox(readiness_probe=modal.Probe.with_exec("false"))
    with raises((modal.exception.TimeoutError, TimeoutError)):
        never.wait_until_ready(timeout=1)
