"""Volumes: by name, shared, read-only, in part, nameless, renamed, deleted."""

import contextlib

import modal
from suite import case, equal, raises, run


@contextlib.contextmanager
def volume(name, **options):
    """A volume that is deleted when the block ends."""
    try:
        yield modal.Volume.from_name(name, create_if_missing=True, **options)
    finally:
        modal.Volume.objects.delete(name, allow_missing=True)


@case
def volume_shared_by_two_sandboxes(ctx):
    with volume("interop-shared") as shared:
        one, other = ctx.sandbox(volumes={"/data": shared}), ctx.sandbox(volumes={"/mnt/data": shared})
        equal(run(one, "sh", "-c", "echo said > /data/file")[0], 0, "write")
        other.reload_volumes()
        equal(run(other, "cat", "/mnt/data/file"), (0, "said\n", ""), "read")
        with raises(modal.exception.Error) as seen:
            modal.Volume.objects.delete("interop-shared")
        equal(one.object_id in str(seen[0]) or other.object_id in str(seen[0]), True, "a sandbox is named")
        one.terminate(wait=True)
        other.terminate(wait=True)
        again = ctx.sandbox("cat", "/data/file", volumes={"/data": modal.Volume.from_name("interop-shared")})
        again.wait()
        equal(again.stdout.read(), "said\n", "what outlived the sandboxes")


@case
def volume_mount_options(ctx):
    with volume("interop-options") as whole:
        part = whole.with_mount_options(sub_path="/users/one")
        writer = ctx.sandbox("sh", "-c", "echo 1 > /home/mine", volumes={"/home": part})
        writer.wait()
        equal(writer.returncode, 0, "write into a folder of the volume")
        reader = ctx.sandbox(volumes={"/data": whole.with_mount_options(read_only=True)})
        equal(run(reader, "cat", "/data/users/one/mine"), (0, "1\n", ""), "read")
        code, _, err = run(reader, "touch", "/data/x")
        equal((code, "Read-only" in err), (1, True), "write")
        reader.terminate(wait=True)


@case
def volume_names(ctx):
    with raises(modal.exception.NotFoundError) as seen:
        modal.Volume.from_name("interop-never-made").hydrate()
    equal("interop-never-made" in str(seen[0]), True, "the name is told")
    with volume("interop-named", version=2) as found:
        found.hydrate()
        equal(found.object_id[:3], "vo-", "prefix")
        equal(found.info().name, "interop-named", "name")
        with raises(modal.exception.AlreadyExistsError):
            modal.Volume.objects.create("interop-named")
        modal.Volume.objects.create("interop-named", allow_existing=True)
        listed = [one.name for one in modal.Volume.objects.list()]
        equal(listed.count("interop-named"), 1, "how often it is listed")
        equal(modal.Volume.from_id(found.object_id).hydrate().name, "interop-named", "name by id")
        modal.Volume.rename("interop-named", "interop-renamed")
        try:
            equal(modal.Volume.from_name("interop-renamed").hydrate().object_id, found.object_id, "id")
        finally:
            modal.Volume.objects.delete("interop-renamed")


@case
def volume_ephemeral(ctx):
    with modal.Volume.ephemeral() as nameless:
        sandbox = ctx.sandbox("sh", "-c", "echo 1 > /data/x; cat /data/x", volumes={"/data": nameless})
        sandbox.wait()
        equal(sandbox.stdout.read(), "1\n", "output")
        equal(nameless.object_id in [one.object_id for one in modal.Volume.objects.list()], False, "listed")


@case
def volume_uploads_are_refused(ctx):
    with volume("interop-upload") as target:
        with raises(Exception) as seen:
            with target.batch_upload() as batch:
                batch.put_file(__file__, "/cases.py")
        equal("not supported" in str(seen[0]), True, f"told by {seen[0]!r}")
