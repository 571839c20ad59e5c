"""`scenemill assets`: the pictures, clips and sounds that scripts use."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scenemill.cli import output, rendering, targets
from scenemill.cli.groups import Group
from scenemill.cli.help import examples
from scenemill.cli.options import (
    force_option,
    json_option,
    limit_option,
    pass_session,
    quiet_option,
    yes_option,
)

if TYPE_CHECKING:
    from scenemill.cli.session import Session
    from scenemill.types.assets import Asset

ENDINGS = {
    "image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp", "image/gif": ".gif",
    "video/mp4": ".mp4", "video/quicktime": ".mov", "video/webm": ".webm", "video/x-matroska": ".mkv",
    "audio/wav": ".wav", "audio/x-wav": ".wav", "audio/mpeg": ".mp3", "audio/mp4": ".m4a",
    "audio/ogg": ".ogg", "audio/flac": ".flac",
}  # fmt: skip


@click.group(cls=Group)
def assets() -> None:
    """Upload, list, download and delete files that scripts use."""


def identity(text: str) -> str:
    """Return an asset's id, also where it is given as scripts name it, `asset:ID`."""
    return text.removeprefix("asset:")


@assets.command(
    "list",
    epilog=examples(
        "scenemill assets list --limit 5",
    ),
)
@limit_option
@json_option
@pass_session
def list_assets(session: Session, /, limit: int, *, as_json: bool) -> None:
    """List assets, newest first. With --json, one JSON line an asset."""
    with session.connect() as api:
        found = api.assets.list(limit=limit)
        if as_json:
            for asset in found:
                output.print_json(asset)
            return
        rows = list(found)
    if not rows:
        output.stderr().print("There are no assets. Upload one: scenemill assets upload FILE", style="dim")
        return
    table = output.table("Asset", "Kind", "Size", "Picture", "Length", right=("Size", "Length"), ids=True)
    for asset in rows:
        table.add_row(
            asset.asset_id,
            asset.kind,
            output.size(asset.bytes),
            _picture(asset),
            output.seconds(asset.duration),
        )
    output.show(table)


def _picture(asset: Asset) -> str:
    return f"{asset.width}x{asset.height}" if asset.width else ""


@assets.command(
    "upload",
    epilog=examples(
        "scenemill assets upload photo.jpg",
    ),
)
@click.argument(
    "files",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@quiet_option
@json_option
@pass_session
def upload_assets(session: Session, /, files: tuple[Path, ...], *, quiet: bool, as_json: bool) -> None:
    """Upload files, and print how a script names each: asset:ID.

    A large file goes on where it broke off, also when the command is run again.
    """
    screen = rendering.Screen(output.stderr(), quiet)
    with session.connect() as api:
        for path in files:
            with screen.step(f"Uploading {path.name}"):
                asset = rendering.uploaded(api, path)
            if as_json:
                output.print_json({"file": str(path), **asset.raw})
            else:
                click.echo(f"{asset.src}  {path}")


@assets.command(
    "show",
    epilog=examples(
        "scenemill assets show ASSET_ID",
    ),
)
@click.argument("asset_id")
@json_option
@pass_session
def show_asset(session: Session, /, asset_id: str, *, as_json: bool) -> None:
    """Show what is known of an asset."""
    with session.connect() as api:
        asset = api.assets.get(identity(asset_id))
    if as_json:
        output.print_json(asset)
        return
    output.show(
        output.facts(
            [
                ("Asset", asset.asset_id),
                ("In scripts", asset.src),
                ("Type", asset.media_type),
                ("Size", output.size(asset.bytes)),
                ("Picture", _picture(asset)),
                ("Length", output.seconds(asset.duration)),
                ("Frames a second", f"{asset.fps:g}" if asset.fps else None),
                ("Sound", "yes" if asset.has_audio else None),
                ("SHA-256", asset.sha256),
                ("Created", output.local_time(asset.created_at)),
            ]
        )
    )


@assets.command(
    "download",
    epilog=examples(
        "scenemill assets download ASSET_ID photo.jpg",
    ),
)
@click.argument("asset_id")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@force_option
@json_option
@pass_session
def download_asset(
    session: Session, /, asset_id: str, path: Path | None, *, force: bool, as_json: bool
) -> None:
    """Download an asset to PATH, by default to its id with its ending, in the current folder."""
    if path is not None:
        targets.check_file(path, force=force)
    with session.connect() as api:
        asset = api.assets.get(identity(asset_id))
        target = path or Path(asset.asset_id + _ending(asset.media_type))
        targets.check_file(target, force=force)
        api.assets.download(asset, target)
    if as_json:
        output.print_json({"asset_id": asset.asset_id, "file": str(target)})
    else:
        click.echo(str(target))


def _ending(media_type: str) -> str:
    """Return what the name of a file of this type ends with; nothing where that is not known."""
    return ENDINGS.get(media_type) or mimetypes.guess_extension(media_type) or ""


@assets.command(
    "delete",
    epilog=examples(
        "scenemill assets delete --yes ASSET_ID",
    ),
)
@click.argument("asset_ids", metavar="ASSET_ID...", nargs=-1, required=True)
@yes_option
@json_option
@pass_session
def delete_assets(session: Session, /, asset_ids: tuple[str, ...], *, yes: bool, as_json: bool) -> None:
    """Delete assets that no unfinished task uses."""
    what = "this asset" if len(asset_ids) == 1 else f"these {len(asset_ids)} assets"
    output.confirm(f"Delete {what}?", yes=yes)
    with session.connect() as api:
        for asset_id in asset_ids:
            api.assets.delete(identity(asset_id))
            if as_json:
                output.print_json({"asset_id": identity(asset_id), "deleted": True})
            else:
                click.echo(f"{identity(asset_id)}: deleted")
