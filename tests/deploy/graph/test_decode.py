"""The graph sees in every file what `harness.data.decode` sees, or refuses it."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from harness.data.decode import MAX_PIXELS, UnreadableError, decode
from tests.deploy.graph.conftest import Reader
from tests.deploy.image_files import SAMPLES_OF_KIND, bmp, gif, png, tiff_of, with_segment

pytestmark = pytest.mark.slow

SIZE = (24, 20)
RNG = np.random.default_rng(7)
UPRIGHT = tuple(range(2, 9))
XMP = '<x:xmpmeta tiff:Orientation="{}"/>'


def saved(image: Image.Image, name: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, name, **options)
    return stream.getvalue()


def photo(height: int = 83, width: int = 117) -> Image.Image:
    """Smooth, noisy, and different whichever way it is turned."""
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([x * 255 / width, y * 255 / height, 128 + 100 * np.sin(x / 9) * np.cos(y / 7)], -1)
    noisy = smooth + np.random.default_rng(0).normal(0, 8, smooth.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def see_through(image: Image.Image) -> Image.Image:
    clear = image.convert("RGBA")
    alpha = np.random.default_rng(1).integers(0, 256, (image.height, image.width)).astype(np.uint8)
    alpha[: image.height // 3] = 0
    alpha[-image.height // 3 :] = 255
    clear.putalpha(Image.fromarray(alpha))
    return clear


def exif(orientation: int, order: str) -> bytes:
    made = Image.Exif()
    made.endian = order
    made[0x010F] = "A maker of cameras"
    made[0x0112] = orientation
    return made.tobytes()


def jpegs() -> Iterator[tuple[str, bytes]]:
    image = photo()
    for subsampling, progressive in product((0, 1, 2), (False, True)):
        options = {"quality": 90, "subsampling": subsampling, "progressive": progressive}
        yield f"JPEG {subsampling} {'progressive' * progressive}", saved(image, "JPEG", **options)
    yield "JPEG grey", saved(image.convert("L"), "JPEG")
    inks = Image.fromarray(np.random.default_rng(2).integers(0, 256, (83, 117, 4)).astype(np.uint8), "CMYK")
    adobe = saved(inks, "JPEG", quality=95)
    marker = adobe.index(b"\xff\xee")
    yield "JPEG CMYK of Adobe", adobe
    yield "JPEG CMYK plain", adobe[:marker] + adobe[marker + 16 :]
    yield "JPEG YCCK", adobe[: marker + 15] + b"\x02" + adobe[marker + 16 :]
    for orientation, order in product(UPRIGHT, "<>"):
        turned = saved(image, "JPEG", exif=exif(orientation, order))
        yield f"JPEG EXIF {orientation} {order}", turned
    for orientation in UPRIGHT:
        yield f"JPEG XMP {orientation}", saved(image, "JPEG", xmp=XMP.format(orientation).encode())
    plain = saved(image, "JPEG")
    late = with_segment(saved(image, "JPEG", exif=exif(6, ">")), 0xE1, b"Some other data")
    yield "JPEG EXIF behind other data", with_segment(late, 0xFE, b"a comment")
    yield (
        "JPEG EXIF and XMP",
        with_segment(
            saved(image, "JPEG", exif=exif(3, "<")),
            0xE1,
            b"http://ns.adobe.com/xap/1.0/\0" + XMP.format(6).encode(),
        ),
    )
    yield "JPEG padded", plain[:2] + b"\xff\xff\xff" + plain[2:]
    yield "JPEG 1×1", saved(photo(1, 1), "JPEG")
    yield "JPEG 5000×20", saved(photo(20, 5000), "JPEG")
    yield "JPEG 20×5000", saved(photo(5000, 20), "JPEG")
    for height, width in ((200, 210), (400, 401), (801, 2000), (1999, 1000)):  # halved, …, eighths
        yield f"JPEG {height}×{width}", saved(photo(height, width), "JPEG", exif=exif(6, ">"))
    images = struct.pack("<HHII", 0xB001, 4, 1, 2), struct.pack("<HHII", 0xB002, 7, 32, 38)
    directory = b"MPF\0II*\0\x08\0\0\0\x02\0" + b"".join(images) + bytes(4) + bytes(32)
    yield "JPEG with a second picture", with_segment(saved(photo(400, 401), "JPEG"), 0xE2, directory)


def pngs() -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(3)
    for kind, depths in {0: (1, 2, 4, 8), 2: (8,), 3: (1, 2, 4, 8), 4: (8,), 6: (8,)}.items():
        for depth, interlaced in product(depths, (False, True)):
            samples = rng.integers(0, 2**depth, (37, 29, SAMPLES_OF_KIND[kind]))
            first = [int(value) for value in samples[0, 0]]
            palette = rng.bytes(3 * 2**depth) if kind == 3 else b""
            keys = {
                0: struct.pack(">H", first[0]),
                2: b"".join(struct.pack(">H", v) for v in first),
                3: b"\x80\0",
            }
            name = f"PNG kind {kind}, {depth} bits{', interlaced' * interlaced}"
            yield name, png(samples, depth, kind, palette=palette, interlaced=interlaced)
            if kind in keys:
                key = keys[kind]
                yield (
                    f"{name}, key",
                    png(samples, depth, kind, palette=palette, transparency=key, interlaced=interlaced),
                )
            if kind == 0:
                yield f"{name}, black is clear", png(samples, depth, kind, transparency=b"\0\0")
    image = rng.integers(0, 256, (37, 29, 3))
    for gamma in (45455, 100000, 20000):
        yield f"PNG gamma {gamma}", png(image, 8, 2, before=[(b"gAMA", struct.pack(">I", gamma))])
    turned = tiff_of([(0x0112, 3, 1, b"\0\x06\0\0")], big=True)
    yield "PNG EXIF", png(image, 8, 2, before=[(b"eXIf", turned)])
    yield "PNG EXIF behind the pixels", png(image, 8, 2, behind=[(b"eXIf", turned)])
    text = f"\nexif\n{len(turned):8}\n{turned.hex()[:40]}\n{turned.hex()[40:]}\n".encode()
    yield "PNG EXIF as text", png(image, 8, 2, before=[(b"tEXt", b"Raw profile type exif\0" + text)])
    packed = b"Raw profile type exif\0\0" + zlib.compress(text)
    yield "PNG EXIF as packed text", png(image, 8, 2, before=[(b"zTXt", packed)])
    for compressed in (False, True):
        xmp = XMP.format(8).encode()
        head = b"XML:com.adobe.xmp\0" + bytes([compressed, 0]) + b"en\0\0"
        data = head + (zlib.compress(xmp) if compressed else xmp)
        yield f"PNG XMP{', packed' * compressed}", png(image, 8, 2, before=[(b"iTXt", data)])
    yield "PNG without its end", png(image, 8, 2)[:-12]
    animated = saved(photo(), "PNG", save_all=True, append_images=[photo().rotate(90)])
    yield "PNG, several pictures", animated
    yield "PNG 1×1", png(image[:1, :1], 8, 2)
    yield "PNG 5000×20", saved(photo(20, 5000), "PNG")
    yield "PNG large", saved(photo(700, 900), "PNG")


def bmps() -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(4)
    height, width = 13, 11

    def rows(bits: int) -> np.ndarray:
        return rng.integers(0, 256, (height, ((width * bits + 31) >> 3) & ~3)).astype(np.uint8)

    for bits, header in product((1, 4, 8, 16, 24, 32), (12, 40, 52, 56, 64, 108, 124)):
        entries = np.zeros((2**bits if bits <= 8 else 0, 3 if header == 12 else 4), np.uint8)
        entries[:, :3] = rng.integers(0, 256, (len(entries), 3))
        for from_top in (False, True) if header != 12 else (False,):
            made = bmp(
                rows(bits), (height, width), bits, header=header, palette=entries.tobytes(), from_top=from_top
            )
            yield f"BMP {bits} bits, header {header}{', from the top' * from_top}", made
    for bits in (1, 8):
        shades = np.zeros((2**bits, 4), np.uint8)
        shades[:, :3] = np.linspace(0, 255, 2**bits)[:, None]
        yield f"BMP {bits} bits, grey", bmp(rows(bits), (height, width), bits, palette=shades.tobytes())
    few = rng.integers(0, 256, (5, 4)).astype(np.uint8)
    yield "BMP of five colours", bmp(rows(8), (height, width), 8, palette=few.tobytes(), colours=5)
    red, green, blue, clear = 0xFF0000, 0xFF00, 0xFF, 0xFF000000
    masks = {
        16: [(0xF800, 0x7E0, 0x1F), (0x7C00, 0x3E0, 0x1F)],
        24: [(red, green, blue)],
        32: [
            (red, green, blue, 0), (clear, red, green, 0), (clear, green, blue, 0), (clear, red, green, blue),
            (blue, green, red, clear), (red, green, blue, clear), (clear, green, blue, red), (0, 0, 0, 0),
        ],
    }  # fmt: skip
    for bits, layouts in masks.items():
        for layout, header in product(layouts, (56, 108, 124)):
            yield (
                f"BMP masks {layout}, header {header}",
                bmp(rows(bits), (height, width), bits, header=header, masks=layout),
            )
    yield "BMP without its last padding", bmp(rows(24), (height, width), 24)[:-3]


def gifs() -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(5)
    palette, local = rng.bytes(384), rng.bytes(384)
    indices = rng.integers(0, 128, (15, 17)).astype(np.uint8)
    places = (((0, 0), (15, 17)), ((2, 3), (20, 30)), ((2, 3), (10, 10)), ((0, 0), (40, 17)))
    for clear, own, (place, canvas) in product((None, int(indices[0, 0])), (b"", local), places):
        frames = [(indices, place), (indices[::-1], (1, 1))]
        name = f"GIF clear {clear}, {'local' if own else 'global'} palette, at {place} of {canvas}"
        yield name, gif(frames[:1], canvas, palette, local=own, transparent=clear, comment=b"hello")
        yield f"{name}, two frames", gif(frames, canvas, palette, local=own, transparent=clear)
    yield "GIF without a palette", gif([(indices, (0, 0))], (15, 17), b"")
    yield "GIF of few colours", gif([(indices, (0, 0))], (15, 17), palette[:96])
    yield "GIF by Pillow", saved(photo().quantize(100), "GIF")
    yield (
        "GIF by Pillow, animated",
        saved(photo().quantize(100), "GIF", save_all=True, append_images=[photo().rotate(90).quantize(100)]),
    )


def webps() -> Iterator[tuple[str, bytes]]:
    image, clear = photo(), see_through(photo())
    other = image.rotate(180)
    for lossless in (False, True):
        word = "lossless" if lossless else "lossy"
        yield f"WebP {word}", saved(image, "WEBP", lossless=lossless)
        yield f"WebP {word}, clear", saved(clear, "WEBP", lossless=lossless)
        yield (
            f"WebP {word}, animated",
            saved(image, "WEBP", lossless=lossless, save_all=True, append_images=[other]),
        )
        yield (
            f"WebP {word}, clear, animated",
            saved(clear, "WEBP", lossless=lossless, save_all=True, append_images=[other.convert("RGBA")]),
        )
    spot = Image.new("RGBA", image.size)
    spot.paste(image.crop((20, 10, 71, 60)), (31, 17))
    yield "WebP, a spot, animated", saved(spot, "WEBP", save_all=True, append_images=[clear])
    yield (
        "WebP, a spot, lossless, animated",
        saved(spot, "WEBP", lossless=True, save_all=True, append_images=[clear]),
    )
    for orientation, order in product(UPRIGHT, "<>"):
        yield f"WebP EXIF {orientation} {order}", saved(image, "WEBP", exif=exif(orientation, order))
    yield "WebP XMP", saved(image, "WEBP", xmp=XMP.format(5).encode())


FILES = [pair for group in (jpegs, pngs, bmps, gifs, webps) for pair in group()]
BLACK_INK = 1
"""Two libraries round the product of ink and black differently."""


def test_there_are_files_of_every_sort() -> None:
    names = [name for name, _ in FILES]
    assert len(set(names)) == len(names) > 250


@pytest.mark.parametrize(("name", "content"), FILES, ids=[name for name, _ in FILES])
def test_a_file_is_seen_as_in_training(name: str, content: bytes, reader: Callable[..., Reader]) -> None:
    for channels in (3, 1):
        wanted = decode(content, SIZE, channels).pixels
        found = reader(*SIZE, channels)([content])[0]
        difference = np.abs(found.astype(int) - wanted.astype(int)).max()
        assert difference <= (BLACK_INK if "CMYK" in name or "YCCK" in name else 0)


@pytest.mark.parametrize("pixel_range", [None, (0.0, 4095.0), (100.0, 3000.0)])
@pytest.mark.parametrize("kind", [0, 2, 4, 6])
def test_sixteen_bits_are_scaled_by_the_range(
    kind: int, pixel_range: tuple[float, float] | None, reader: Callable[..., Reader]
) -> None:
    samples = np.random.default_rng(kind).integers(0, 65536 if pixel_range is None else 4096, (24, 20, 4))
    samples[..., 3] *= 16 if pixel_range else 1
    samples = samples[..., {0: [0], 2: [0, 1, 2], 4: [0, 3], 6: [0, 1, 2, 3]}[kind]]
    low, high = pixel_range or (0, 1)
    colours = samples[..., : 1 if kind in (0, 4) else 3]
    shown = (
        colours >> 8
        if pixel_range is None
        else np.clip(np.round((colours - low) * (255 / (high - low))), 0, 255).astype(int)
    )
    shown = np.broadcast_to(shown, (24, 20, 3)).astype(np.uint8)
    expected = Image.fromarray(shown)
    if kind in (4, 6):
        alpha = samples[..., -1] >> 8 if kind == 4 else np.round(samples[..., -1] * (255 / 65535))
        clear = Image.fromarray(np.dstack([shown, alpha.astype(np.uint8)]))
        expected = Image.alpha_composite(Image.new("RGBA", clear.size, (255,) * 4), clear).convert("RGB")
    for interlaced in (False, True):
        found = reader(24, 20, 3, pixel_range)([png(samples, 16, kind, interlaced=interlaced)])[0]
        np.testing.assert_array_equal(found, np.asarray(expected))


@pytest.mark.parametrize("kind", [0, 2])
def test_one_clear_colour_of_sixteen_bits_is_white(kind: int, reader: Callable[..., Reader]) -> None:
    samples = np.random.default_rng(kind).integers(0, 60000, (24, 20, SAMPLES_OF_KIND[kind]))
    samples[5:9] = samples[0, 0]
    samples[15:] = samples[0, 0] + 1  # the same upper byte, but another colour
    key = b"".join(struct.pack(">H", int(value)) for value in samples[0, 0])
    found = reader(24, 20, 3)([png(samples, 16, kind, transparency=key)])[0]
    expected = np.broadcast_to(samples >> 8, (24, 20, 3)).copy()
    expected[(samples == samples[0, 0]).all(axis=-1)] = 255
    np.testing.assert_array_equal(found, expected)


def test_a_batch_holds_files_of_any_format_and_size(reader: Callable[..., Reader]) -> None:
    chosen = [content for _, content in FILES[::9]]
    found = reader(*SIZE, 3)(chosen)
    assert found.shape == (len(chosen), *SIZE, 3)
    for content, pixels in zip(chosen, found, strict=True):
        np.testing.assert_allclose(pixels, decode(content, SIZE, 3).pixels.astype(int), atol=BLACK_INK)
    assert reader(*SIZE, 3)(chosen[:1]).shape == (1, *SIZE, 3)


def refusal(read: Reader, content: bytes) -> str:
    """What is said about the second image of a batch."""
    good = saved(photo(), "PNG")
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        read([good, content, good])
    return str(caught.value)


HEIC = b"\0\0\0\x18ftypheic" + bytes(100)
RLE = bmp(np.zeros((13, 12), np.uint8), (13, 11), 8, palette=bytes(1024), packing=1)
BOMB = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0) + bytes(4)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "image_bytes[1] is empty."),
        (saved(photo(), "TIFF"), "image_bytes[1] is a TIFF file, which this model does not read; convert it"),
        (saved(photo(), "PPM"), "image_bytes[1] is a PPM file, which this model does not read; convert it"),
        (saved(photo().convert("L"), "PPM"), "image_bytes[1] is a PPM file"),
        (HEIC, "image_bytes[1] is a HEIC, AVIF or video file, which this model does not read"),
        (b"<html></html>", "image_bytes[1] is text, which this model does not read"),
        (b"%PDF-1.7", "image_bytes[1] is a PDF file"),
        (b"hello", "image_bytes[1] is none of JPEG, PNG, GIF, BMP, WebP, or damaged"),
        (bytes(1000), "image_bytes[1] is none of JPEG, PNG, GIF, BMP, WebP, or damaged"),
        (
            RLE,
            "image_bytes[1] is a BMP file that is compressed or laid out in a way this model does not read",
        ),
        (BOMB, f"image_bytes[1] claims 3600000000 pixels; at most {MAX_PIXELS:,} are accepted."),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_cannot_be_read_is_refused_in_a_sentence(
    content: bytes, sentence: str, reader: Callable[..., Reader]
) -> None:
    assert sentence in refusal(reader(*SIZE, 3), content)


@pytest.mark.parametrize(
    "content",
    [
        saved(photo(), "JPEG"),
        saved(photo(), "JPEG", progressive=True, exif=exif(6, "<")),
        saved(photo(), "PNG"),
        saved(photo().quantize(50), "GIF"),
        saved(photo(), "BMP"),
        saved(photo(), "WEBP"),
    ],
    ids=["JPEG", "JPEG progressive", "PNG", "GIF", "BMP", "WebP"],
)
def test_files_that_were_cut_off_are_refused(content: bytes, reader: Callable[..., Reader]) -> None:
    """Wherever they end: never other pixels than training would have made of them."""
    read = reader(*SIZE, 3)
    refused = 0
    for length in sorted({*range(0, 300, 37), *np.linspace(0, len(content) - 1, 25).astype(int)}):
        cut = content[:length]
        try:
            wanted = decode(cut, SIZE, 3).pixels
        except UnreadableError:
            refusal(read, cut)
            refused += 1
        else:
            try:
                found = read([cut])
            except tf.errors.InvalidArgumentError:
                continue
            np.testing.assert_array_equal(found[0], wanted)
    assert refused > 20
