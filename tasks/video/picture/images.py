"""Decodes an image at about the size needed: upright, in sRGB, and flattened if asked for.

Only accepted formats are tried. ffmpeg first shrinks pictures that are too large for a worker's memory.
"""

from __future__ import annotations

import base64
import io
import json
import struct
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from shared.errors import AssetUnreadable, RenderFailed, UnsupportedMedia
from shared.media.probe_child import orientation
from shared.media.sniffing import HEAD_BYTES, sniff
from shared.processes import ffmpeg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Rgb = NDArray[Any]  # 8 bits; three or four channels

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")
# A camera's JPEG with a second picture inside is MPO to Pillow, and a JPEG to ffmpeg.
DEMUXERS = {"JPEG": "jpeg_pipe", "MPO": "jpeg_pipe", "PNG": "png_pipe", "WEBP": "webp_pipe", "GIF": "gif"}
MAX_OWN_PIXELS = 12_000_000  # a larger image would exceed a worker's memory: ffmpeg shrinks it
MAX_PIXELS = 200_000_000
TRANSPOSITIONS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # EXIF orientation to Pillow's transpositions
SHRINK_LIMITS = ffmpeg.Limits(wall=120, stall=120, file=1 << 30)
SRGB = "srgb"  # in the description of every ICC profile that needs no conversion
UNREADABLE = "An image could not be decoded. Upload it again, e.g. as JPEG or PNG."


@dataclass(frozen=True, slots=True)
class ImageWorkspace:
    """The folder, the ffmpeg and the stop signal with which pictures are prepared."""

    folder: Path
    ffmpeg: str | None = None
    stop: Callable[[], bool] | None = None


def load_image(
    path: Path, min_size: tuple[int, int], *, alpha: bool = False, workspace: ImageWorkspace
) -> Rgb:
    """Return the image as rows of RGB (or RGBA), at least `min_size` (width, height) if it is that large.

    Raise AssetUnreadable for what Pillow or ffmpeg cannot decode.
    """
    try:
        with path.open("rb") as file:
            if sniff(file.read(HEAD_BYTES)).media_type == "image/heic":
                return _decode_in_child(path, "HEIF", min_size, alpha=alpha, workspace=workspace)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # Pillow warns of odd metadata and of sizes, which are checked below
            # Only these decoders: by default Pillow tries dozens, many of them rarely maintained.
            with Image.open(path, formats=FORMATS) as image:
                return _decode(image, path, min_size, alpha=alpha, workspace=workspace)
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        Image.DecompressionBombError,
        UnsupportedMedia,
    ) as error:
        raise AssetUnreadable(UNREADABLE) from error


def _decode(
    image: Image.Image, path: Path, min_size: tuple[int, int], *, alpha: bool, workspace: ImageWorkspace
) -> Rgb:
    if image.width * image.height > MAX_PIXELS:
        raise AssetUnreadable("An image has more than 200 megapixels. Scale it down and upload it again.")
    oriented = orientation(image)
    image.draft(
        None, (min_size[1], min_size[0]) if oriented >= 5 else min_size
    )  # JPEG only: decodes at a half, a quarter or an eighth
    if image.width * image.height > MAX_OWN_PIXELS and image.format == "AVIF":
        return _decode_in_child(path, "AVIF", min_size, alpha=alpha, workspace=workspace)
    if image.width * image.height > MAX_OWN_PIXELS:
        return _shrink_with_ffmpeg(image, path, min_size, alpha=alpha, workspace=workspace)
    if (
        oriented in TRANSPOSITIONS
    ):  # Pillow's `exif_transpose` also writes the EXIF anew, and fails on tags that it cannot write
        stored, image = image, image.transpose(Image.Transpose(TRANSPOSITIONS[oriented]))
        stored.close()
    # Convert once: every copy of a large picture counts against the worker's memory limit.
    return np.asarray(_to_srgb(image, "RGBA" if alpha or _is_transparent(image) else "RGB"))


def _is_transparent(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _to_srgb(image: Image.Image, mode: str) -> Image.Image:
    """Return the image in sRGB, converted by its own profile if it has a usable one."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow would clip instead of scaling
        image = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    if profile:
        if image.mode not in ("RGB", "CMYK", "L"):
            image = image.convert("RGBA" if _is_transparent(image) else "RGB")
        image = _apply_profile(image, profile)
    return image if image.mode == mode else image.convert(mode)


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """Return the image converted to sRGB, or unchanged if its profile is unusable. Alpha is kept as it is."""
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if SRGB in (ImageCms.getProfileDescription(own) or "").lower():
            return image
        plain = image.convert("RGB") if image.mode == "RGBA" else image
        decoded = ImageCms.profileToProfile(plain, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    if decoded is None:
        return image
    if image.mode == "RGBA":
        decoded.putalpha(image.getchannel("A"))
    return decoded


def _shrink_with_ffmpeg(
    image: Image.Image, path: Path, min_size: tuple[int, int], *, alpha: bool, workspace: ImageWorkspace
) -> Rgb:
    """Return the image decoded and scaled by ffmpeg, in ffmpeg's memory."""
    oriented = orientation(image)
    target = (min_size[1], min_size[0]) if oriented >= 5 else min_size
    scale = min(1.0, max(target[0] / image.width, target[1] / image.height))
    width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    piped = image.format == "PNG"
    argv = ffmpeg.command(
        "-noautorotate", "-f", DEMUXERS[image.format or ""], "-i", "pipe:0" if piped else f"file:{path}",
        "-frames:v", "1",
        "-vf", f"scale={width}:{height}:flags=area:in_range=auto:out_range=pc,format=rgba",
        "-f", "rawvideo", "file:image.raw", ffmpeg=workspace.ffmpeg,
    )  # fmt: skip
    source = _without_exif(path) if piped else None
    ffmpeg.run(argv, cwd=workspace.folder, limits=SHRINK_LIMITS, stop=workspace.stop, stdin=source)
    decoded = np.fromfile(workspace.folder / "image.raw", np.uint8).reshape(height, width, 4)
    (workspace.folder / "image.raw").unlink()
    upright = Image.fromarray(decoded)
    profile = image.info.get("icc_profile")
    if profile and image.mode not in ("CMYK", "L", "LA"):  # ffmpeg has converted these to RGB already
        upright = _apply_profile(upright, profile)
    if oriented in TRANSPOSITIONS:
        upright = upright.transpose(Image.Transpose(TRANSPOSITIONS[oriented]))
    keep = alpha or (_is_transparent(image) and int(decoded[..., 3].min()) < 255)
    return np.asarray(upright.convert("RGBA" if keep else "RGB"))


def _decode_in_child(
    path: Path, name: str, min_size: tuple[int, int], *, alpha: bool, workspace: ImageWorkspace
) -> Rgb:
    """Have a child decode and scale a picture of a format that ffmpeg does not read whole."""
    target = workspace.folder / "image.raw"
    request = {
        "path": str(path.resolve()), "format": name, "min_size": min_size, "target": str(target.resolve()),
        "max_pixels": MAX_PIXELS // 2,  # Pillow refuses at twice this
    }  # fmt: skip
    child = Path(__file__).with_name("image_child.py")
    try:
        done = ffmpeg.run(
            [sys.executable, "-I", str(child), json.dumps(request)],
            cwd=workspace.folder,
            limits=SHRINK_LIMITS,
            stop=workspace.stop,
        )
        facts = json.loads(done.stdout)
        decoded = np.fromfile(target, np.uint8).reshape(facts["size"][1], facts["size"][0], 4)
    except RenderFailed as error:
        raise AssetUnreadable(UNREADABLE) from error
    finally:
        target.unlink(missing_ok=True)
    image = Image.fromarray(decoded)
    if facts["profile"]:
        image = _apply_profile(image, base64.b64decode(facts["profile"]))
    keep = alpha or int(decoded[..., 3].min()) < 255
    return np.asarray(image.convert("RGBA" if keep else "RGB"))


def _without_exif(path: Path) -> Iterator[bytes]:
    """Yield a PNG file without its EXIF: ffmpeg refuses the whole picture where that is damaged."""
    with path.open("rb") as file:
        yield file.read(8)
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            left, retained = length + 4, name != b"eXIf"
            if retained:
                yield head
            while left > 0 and (part := file.read(min(left, 1 << 20))):
                left -= len(part)
                if retained:
                    yield part


def flatten(image: Rgb, ground: tuple[int, int, int]) -> Rgb:
    """Return a transparent picture over a ground colour, computed in strips to save memory."""
    if image.shape[2] == 3:
        return image
    flat = np.empty((*image.shape[:2], 3), np.uint8)
    for top in range(0, image.shape[0], 64):
        strip = image[top : top + 64]
        part = strip[..., 3:].astype(np.uint16)
        mixed = strip[..., :3] * part + np.array(ground, np.uint16) * (255 - part)
        flat[top : top + 64] = (mixed + 127) // 255
    return flat
