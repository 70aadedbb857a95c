"""Images of a registry on loopback, and images that are built."""

import contextlib
import io
import os

import modal
from suite import case, equal, raises, run


def registry(name):
    """A setting of the registry's; None, and a word why, where there is no registry."""
    value = os.environ.get(name)
    if value is None:
        print("skipped: no docker-registry is installed", flush=True)
    return value


def built(ctx, image):
    """Builds an image and gives what the client shows of the log."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown), modal.enable_output():
        image.build(ctx.app)
    return shown.getvalue()


@case
def image_of_a_registry(ctx):
    reference = registry("INTEROP_REGISTRY_IMAGE")
    if reference is None:
        return
    sandbox = ctx.sandbox(image=modal.Image.from_registry(reference))
    equal(run(sandbox, "cat", "/etc/imported")[1], "imported\n", "a file of the image")
    again = modal.Image.from_registry(reference).build(ctx.app)
    equal(again.object_id, modal.Image.from_registry(reference).build(ctx.app).object_id, "id of the same image")
    with raises(modal.exception.ImageBuildError) as seen:
        modal.Image.from_registry(f"{reference}-none").build(ctx.app)
    equal("has no image" in str(seen[0]), True, f"the reason in {seen[0]}")


@case
def image_of_a_registry_with_credentials(ctx):
    reference = registry("INTEROP_PRIVATE_IMAGE")
    if reference is None:
        return
    with raises(modal.exception.ImageBuildError):
        modal.Image.from_registry(reference).build(ctx.app)
    username, password = os.environ["INTEROP_USERNAME"], os.environ["INTEROP_PASSWORD"]
    # The client learns from the secret's keys what kind of registry it is for.
    secret = modal.Secret.from_dict({"REGISTRY_USERNAME": username, "REGISTRY_PASSWORD": password})
    image = modal.Image.from_registry(reference, secret=secret)
    equal(run(ctx.sandbox(image=image), "cat", "/etc/imported")[1], "imported\n", "a file of the image")
    aws = modal.Secret.from_dict({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "c"})
    with raises(modal.exception.ImageBuildError) as seen:
        modal.Image.from_registry(f"{reference}-aws", secret=aws).build(ctx.app)
    equal("AWS" in str(seen[0]), True, f"the kind of registry in {seen[0]}")


@case
def image_with_commands(ctx):
    secret = modal.Secret.from_dict({"HIDDEN": "seen by the build"})
    image = (
        modal.Image.from_registry("host")
        .env({"KEPT": "kept"})
        .workdir("/srv/work")
        .run_commands("echo built > made", "echo log of $KEPT", 'test "$HIDDEN" = "seen by the build"', secrets=[secret])
    )
    log = built(ctx, image)
    equal("log of kept" in log, True, f"output of a command in the log {log!r}")
    script = "cat made; echo $KEPT ${HIDDEN-none}; pwd"
    found = run(ctx.sandbox(image=image), "sh", "-c", script)[1]
    equal(found, "built\nkept none\n/srv/work\n", "what the image holds")
    # The same definition is there already: nothing is run, and nothing is logged.
    again = modal.Image.from_registry("host").run_commands("echo once > /srv/once; echo once")
    first = built(ctx, again)
    same = modal.Image.from_registry("host").run_commands("echo once > /srv/once; echo once")
    equal(("once" in first, "once" in built(ctx, same)), (True, False), "in the logs of two builds")
    equal(same.object_id, again.object_id, "id of the same definition")


@case
def image_with_a_failing_command(ctx):
    image = modal.Image.from_registry("host").run_commands("echo before; exit 7")
    with raises(modal.exception.ImageBuildError) as seen:
        image.build(ctx.app)
    text = str(seen[0])
    equal("exit 7" in text and "exited with code 7" in text, True, f"line and code in {text}")
