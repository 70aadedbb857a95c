"""Apps, the life of sandboxes, names, tags, and errors by class."""

import os

import modal
from suite import case, equal, raises, run

UNKNOWN = {True: "sb-00000000000000000000000000", False: "sb-0000000000000000000000"}


@case
def app_lookup(ctx):
    again = modal.App.lookup(ctx.app_name)
    equal(again.app_id, ctx.app.app_id, "id of the same app")
    equal(again.app_id[:3], "ap-", "prefix of the app id")
    with raises(modal.exception.NotFoundError):
        modal.App.lookup("interop-never-made")


@case
def poll_terminate_poll(ctx):
    sandbox = ctx.sandbox()
    equal(sandbox.poll(), None, "poll while running")
    sandbox.terminate()
    equal(sandbox.poll(), 137, "poll after terminate")
    sandbox.terminate()
    equal(sandbox.poll(), 137, "poll after a second terminate")


@case
def terminate_and_wait(ctx):
    sandbox = ctx.sandbox()
    equal(sandbox.terminate(wait=True), 137, "exit code of terminate")


@case
def main_process_streams_and_exit_code(ctx):
    sandbox = ctx.sandbox("sh", "-c", "echo ready; read line; echo got $line; echo bad >&2; exit 3")
    sandbox.stdin.write("input\n")
    sandbox.stdin.write_eof()
    sandbox.stdin.drain()
    sandbox.wait(raise_on_termination=False)
    equal(sandbox.returncode, 3, "return code")
    equal(sandbox.stdout.read(), "ready\ngot input\n", "stdout")
    equal(sandbox.stderr.read(), "bad\n", "stderr")
    equal(sandbox.poll(), 3, "poll after the end")


@case
def life_time_ends_the_sandbox(ctx):
    sandbox = ctx.sandbox("sleep", "600", timeout=2)
    with raises(modal.exception.SandboxTimeoutError):
        sandbox.wait()
    equal(sandbox.poll(), 124, "poll after the life time")


@case
def sandbox_environment_and_secrets(ctx):
    # Values that must show nowhere, where a run plants some.
    plain, hidden = (os.environ.get(f"OPENLATTICE_TEST_PLANT_{name}", name) for name in ("ENV", "SECRET"))
    secret = modal.Secret.from_dict({"FROM_SECRET": hidden, "BOTH": "secret"})
    script = 'printf "%s," "$PLAIN" "$FROM_SECRET" "$BOTH"'
    options = {"env": {"PLAIN": plain, "BOTH": "env"}, "secrets": [secret]}
    main = ctx.sandbox("sh", "-c", script, **options)
    main.wait()
    equal(main.stdout.read(), f"{plain},{hidden},env,", "environment of the main process")
    equal(run(ctx.sandbox(**options), "sh", "-c", script)[1], f"{plain},{hidden},env,", "environment of a command")


@case
def from_id(ctx):
    sandbox = ctx.sandbox()
    same = modal.Sandbox.from_id(sandbox.object_id)
    equal(same.poll(), None, "poll through the id")
    equal(run(same, "echo", "hello")[1], "hello\n", "command through the id")
    sandbox.terminate()
    equal(modal.Sandbox.from_id(sandbox.object_id).poll(), 137, "poll through the id after the end")
    with raises(modal.exception.NotFoundError):
        modal.Sandbox.from_id(UNKNOWN[ctx.v2])


@case
def id_shape_tells_the_generation(ctx):
    tail = ctx.sandbox().object_id.removeprefix("sb-")
    equal(len(tail) != 22, ctx.v2, "an id without 22 characters")


@case
def list_of_an_app(ctx):
    made = {ctx.sandbox().object_id for _ in range(3)}
    found = {sandbox.object_id for sandbox in modal.Sandbox.list(app_id=ctx.app.app_id)}
    equal(made <= found, True, "all of them are listed")
    ended = modal.Sandbox.from_id(made.pop())
    ended.terminate(wait=True)
    found = {sandbox.object_id for sandbox in modal.Sandbox.list(app_id=ctx.app.app_id)}
    equal((made <= found, ended.object_id in found), (True, False), "without the ended one")
    other = modal.App.lookup("interop-python-other", create_if_missing=True)
    equal(list(modal.Sandbox.list(app_id=other.app_id)), [], "list of another app")


@case
def tags(ctx):
    tagged = ctx.sandbox()
    tagged.set_tags({"kind": "test", "round": "1"})
    equal(tagged.get_tags(), {"kind": "test", "round": "1"}, "tags")
    ctx.sandbox().set_tags({"kind": "test"})

    def listed(wanted):
        return [sandbox.object_id for sandbox in modal.Sandbox.list(app_id=ctx.app.app_id, tags=wanted)]

    equal(listed({"kind": "test", "round": "1"}), [tagged.object_id], "list by two tags")
    equal(len(listed({"kind": "test"})), 2, "number of sandboxes with one tag")
    tagged.set_tags({"other": "x"})
    equal(tagged.get_tags(), {"other": "x"}, "tags after replacing them")


@case
def tags_given_at_creation(ctx):
    equal(ctx.sandbox(tags={"at": "birth"}).get_tags(), {"at": "birth"}, "tags")


@case
def names(ctx):
    sandbox = ctx.sandbox(name="interop-name")
    equal(modal.Sandbox.from_name(ctx.app_name, "interop-name").object_id, sandbox.object_id, "id by name")
    with raises(modal.exception.AlreadyExistsError):
        ctx.sandbox(name="interop-name")
    sandbox.terminate(wait=True)
    with raises(modal.exception.NotFoundError):
        modal.Sandbox.from_name(ctx.app_name, "interop-name")
    ctx.sandbox(name="interop-name")


@case
def exec_in_an_ended_sandbox(ctx):
    sandbox = ctx.sandbox()
    sandbox.terminate(wait=True)
    with raises((modal.exception.NotFoundError, modal.exception.ConflictError)):
        sandbox.exec("true").wait()


@case
def wrong_credentials(ctx):
    client = modal.Client.from_credentials("ak-wrong", "as-wrong")
    with raises(modal.exception.AuthError):
        modal.App.lookup(ctx.app_name, client=client)


@case
def blocked_network_is_honoured(ctx):
    sandbox = ctx.sandbox(block_network=True)
    equal(run(sandbox, "ls", "/sys/class/net")[1].split(), ["lo"], "network devices")


@case
def what_is_not_offered_is_refused(ctx):
    with raises(modal.exception.UnimplementedError):
        ctx.sandbox(gpu="H100")
    with raises(modal.exception.UnimplementedError):
        ctx.sandbox(outbound_cidr_allowlist=["10.0.0.0/8"])


@case
def resources(ctx):
    sandbox = ctx.sandbox(cpu=(0.5, 1.0), memory=(64, 128))
    code, _, _ = run(sandbox, "sh", "-c", "head -c 400m /dev/zero | tail | wc -c", timeout=60)
    equal(code in (0, 137), True, f"exit code {code} of a command over the memory limit")
    equal(run(sandbox, "echo", "alive")[1], "alive\n", "the sandbox after it")
