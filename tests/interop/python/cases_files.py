"""Files, images and snapshots."""

import pathlib
import tempfile

import modal
from modal.types import FileWatchEventType
from suite import case, equal, raises, run


@case
def file_binary_round_trip(ctx):
    data = bytes(range(256)) * 4096
    files = ctx.sandbox().filesystem
    files.write_bytes(data, "/tmp/new/folder/data.bin")
    equal(files.read_bytes("/tmp/new/folder/data.bin") == data, True, "content is the same")
    files.write_bytes(b"short", "/tmp/new/folder/data.bin")
    equal(files.read_bytes("/tmp/new/folder/data.bin"), b"short", "content after overwriting")
    files.write_bytes(b"", "/tmp/empty")
    equal(files.read_bytes("/tmp/empty"), b"", "empty file")


@case
def file_of_five_megabytes(ctx):
    data = b"0123456789abcdef" * 330_000
    sandbox = ctx.sandbox()
    sandbox.filesystem.write_bytes(data, "/tmp/big")
    equal(run(sandbox, "stat", "-c", "%s", "/tmp/big")[1], f"{len(data)}\n", "size seen inside")
    equal(sandbox.filesystem.read_bytes("/tmp/big") == data, True, "content is the same")


@case
def file_seen_by_commands_and_back(ctx):
    sandbox = ctx.sandbox()
    sandbox.filesystem.write_text("grüße\n", "/tmp/text")
    equal(run(sandbox, "cat", "/tmp/text")[1], "grüße\n", "what a command reads")
    run(sandbox, "sh", "-c", "echo back > /tmp/back")
    equal(sandbox.filesystem.read_text("/tmp/back"), "back\n", "what a command wrote")


@case
def file_list_and_stat(ctx):
    files = ctx.sandbox().filesystem
    files.make_directory("/tmp/list/inner")
    files.write_bytes(b"12345", "/tmp/list/a file")
    found = [(entry.name, entry.type.value, entry.path) for entry in files.list_files("/tmp/list")]
    wanted = [("a file", "file", "/tmp/list/a file"), ("inner", "directory", "/tmp/list/inner")]
    equal(found, wanted, "entries")
    entry = files.stat("/tmp/list/a file")
    equal((entry.size, entry.is_file(), entry.symlink_target), (5, True, None), "stat")


@case
def file_stat_shows_the_link_itself(ctx):
    sandbox = ctx.sandbox()
    run(sandbox, "ln", "-s", "/nowhere", "/tmp/link")
    entry = sandbox.filesystem.stat("/tmp/link")
    equal((entry.type.value, entry.symlink_target), ("symlink", "/nowhere"), "stat of a link")


@case
def file_copied_from_and_to_this_machine(ctx):
    files = ctx.sandbox().filesystem
    data = bytes(range(256)) * 10_000
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "in").write_bytes(data)
        files.copy_from_local(folder / "in", "/tmp/new/folder/copy")
        files.copy_to_local("/tmp/new/folder/copy", folder / "new" / "out")
        equal((folder / "new" / "out").read_bytes() == data, True, "content is the same")
        with raises(modal.exception.SandboxFilesystemNotFoundError):
            files.copy_to_local("/tmp/none", folder / "none")
        equal((folder / "none").exists(), False, "what a failed copy leaves")


@case
def file_watch_tells_changes_until_it_is_closed(ctx):
    sandbox = ctx.sandbox()
    files = sandbox.filesystem
    files.make_directory("/tmp/w")
    # The iterator begins when it is asked for its first event, so changes go on until that is there.
    sandbox.exec("sh", "-c", "while [ ! -e /tmp/stop ]; do : > /tmp/w/a; mv /tmp/w/a /tmp/w/b; rm /tmp/w/b; done")
    seen = set()
    wanted = {("Create", ("/tmp/w/a",)), ("Modify", ("/tmp/w/a", "/tmp/w/b")), ("Remove", ("/tmp/w/b",))}
    for event in files.watch("/tmp/w"):
        seen.add((event.type.value, tuple(event.paths)))
        if wanted <= seen:
            break
    files.write_bytes(b"", "/tmp/stop")


@case
def file_watch_below_with_a_filter_and_a_time(ctx):
    sandbox = ctx.sandbox()
    files = sandbox.filesystem
    files.make_directory("/tmp/w")
    script = "while [ ! -e /tmp/stop ]; do mkdir -p /tmp/w/d/deep; : > /tmp/w/d/deep/f; rm -r /tmp/w/d; done"
    sandbox.exec("sh", "-c", script)
    for event in files.watch("/tmp/w", recursive=True, filter=[FileWatchEventType.Create]):
        equal(event.type, FileWatchEventType.Create, "the kind that was let through")
        if event.paths[0].endswith("/deep/f"):
            break
    files.write_bytes(b"", "/tmp/stop")
    equal(list(files.watch("/tmp/w", filter=[], timeout=1)), [], "an empty filter")
    with raises(modal.exception.SandboxFilesystemNotFoundError):
        list(files.watch("/tmp/none"))
    with raises(modal.exception.InvalidError):
        list(files.watch("/proc"))


@case
def file_remove(ctx):
    files = ctx.sandbox().filesystem
    files.write_bytes(b"x", "/tmp/tree/inner/file")
    with raises(modal.exception.SandboxFilesystemDirectoryNotEmptyError):
        files.remove("/tmp/tree")
    files.remove("/tmp/tree/inner/file")
    files.remove("/tmp/tree", recursive=True)
    with raises(modal.exception.SandboxFilesystemNotFoundError):
        files.stat("/tmp/tree")


@case
def file_errors_by_class(ctx):
    files = ctx.sandbox().filesystem
    files.make_directory("/tmp/folder")
    files.write_bytes(b"x", "/tmp/file")
    with raises(modal.exception.SandboxFilesystemNotFoundError):
        files.read_bytes("/tmp/missing")
    with raises(modal.exception.SandboxFilesystemIsADirectoryError):
        files.read_bytes("/tmp/folder")
    with raises(modal.exception.SandboxFilesystemIsADirectoryError):
        files.write_bytes(b"y" * 3_000_000, "/tmp/folder")
    with raises(modal.exception.SandboxFilesystemNotADirectoryError):
        files.list_files("/tmp/file")
    with raises(modal.exception.SandboxFilesystemNotADirectoryError):
        files.write_bytes(b"y", "/tmp/file/below")
    with raises(modal.exception.SandboxFilesystemPathAlreadyExistsError):
        files.make_directory("/tmp/folder", create_parents=False)
    with raises(modal.exception.SandboxFilesystemNotFoundError):
        files.make_directory("/tmp/a/b", create_parents=False)
    with raises(modal.exception.SandboxFilesystemNotFoundError):
        files.remove("/tmp/missing")


@case
def image_host_builds_once(ctx):
    first = modal.Image.from_registry("host").build(ctx.app)
    second = modal.Image.from_registry("host").build(ctx.app)
    equal(first.object_id[:3], "im-", "prefix of the image id")
    equal(first.object_id, second.object_id, "id of the same definition")


@case
def image_from_an_imported_archive(ctx):
    sandbox = ctx.sandbox(image=ctx.archive)
    found = run(sandbox, "sh", "-c", "cat /etc/imported; echo $IMPORTED; test -e /etc/doomed || echo gone")
    equal(found, (0, "imported\nyes\ngone\n", ""), "file, environment and deletion of the image")
    programs = [entry.name for entry in sandbox.filesystem.list_files("/usr/bin")]
    equal(len(programs) < 60, True, f"{len(programs)} programs: the image's own and not the host's")
    built = ctx.archive.build(ctx.app)
    again = ctx.sandbox(image=modal.Image.from_id(built.object_id))
    equal(again.filesystem.read_text("/etc/imported"), "imported\n", "the same file by the image's id")
    equal(sandbox.poll(), None, "poll")


@case
def image_of_an_unknown_name_is_a_build_error(ctx):
    with raises(modal.exception.RemoteError):
        modal.Image.from_registry("interop/never-imported:1").build(ctx.app)


@case
def image_of_an_unknown_id(ctx):
    with raises(modal.exception.NotFoundError):
        ctx.sandbox(image=modal.Image.from_id("im-0000000000000000000000"))


@case
def snapshot_and_create_from_it(ctx):
    sandbox = ctx.sandbox()
    sandbox.filesystem.write_bytes(b"kept", "/root/kept")
    run(sandbox, "sh", "-c", "mkdir /srv/deep && chmod 750 /srv/deep && ln -s /root/kept /srv/deep/link")
    image = sandbox.snapshot_filesystem()
    sandbox.filesystem.write_bytes(b"changed", "/root/kept")
    equal(sandbox.poll(), None, "poll of the original after its snapshot")
    restored = ctx.sandbox(image=image)
    equal(restored.object_id != sandbox.object_id, True, "the ids differ")
    equal(restored.filesystem.read_bytes("/root/kept"), b"kept", "the file of the snapshot")
    equal(run(restored, "cat", "/srv/deep/link")[1], "kept", "through a link of the snapshot")
    equal(run(restored, "stat", "-c", "%a %U", "/srv/deep")[1], "750 root\n", "mode and owner of the snapshot")
    equal(sandbox.filesystem.read_bytes("/root/kept"), b"changed", "the original's own file")


@case
def snapshot_of_a_snapshot(ctx):
    first = ctx.sandbox()
    first.filesystem.write_bytes(b"1", "/root/first")
    second = ctx.sandbox(image=first.snapshot_filesystem())
    second.filesystem.write_bytes(b"2", "/root/second")
    second.filesystem.remove("/root/first")
    third = ctx.sandbox(image=second.snapshot_filesystem())
    names = [entry.name for entry in third.filesystem.list_files("/root")]
    equal(names, ["second"], "files after adding one and removing one")
