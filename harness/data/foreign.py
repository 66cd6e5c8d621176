"""Files that are no image we read, by their first bytes: what they are, and what to do."""

from __future__ import annotations

_CONVERT = "convert it to JPEG or PNG"
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    b"crx ": "a raw photograph (CR3)",
}
_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\x00\x00\x00\x0cjP  ", f"it is JPEG 2000; {_CONVERT}"),
    (b"\xff\x4f\xff\x51", f"it is JPEG 2000; {_CONVERT}"),
    (b"\x00\x00\x00\x0cJXL ", f"it is JPEG XL; {_CONVERT}"),
    (b"\xff\x0a", f"it is JPEG XL; {_CONVERT}"),
    (b"8BPS", f"it is a Photoshop file; {_CONVERT}"),
    (b"%PDF", "it is a PDF"),
    (b"\x00\x00\x01\x00", f"it is an icon; {_CONVERT}"),
    (b"version https://git-lfs", "it only points to a file that Git LFS keeps; fetch it with `git lfs pull`"),
    (b"/annex/objects", "it only points to a file that git-annex keeps; fetch it with `git annex get`"),
    (b"\x1f\x8b", "it is compressed by gzip; unpack it"),
    (b"PK\x03\x04", "it is a zip archive; unpack it"),
    (b"\x93NUMPY", "it is a NumPy array; put images into an .npz"),
    (b"\x1aE\xdf\xa3", "it is a video"),
)
_MARKUP = (
    (b"<svg", f"it is an SVG drawing; {_CONVERT}"),
    (b"<html", "it is an HTML page, as failed downloads leave"),
)


def what_it_is(content: bytes) -> str:
    """What a file is that cannot be opened as an image, and what to do; empty if that is not known."""
    if content[4:8] == b"ftyp":
        brand = _BRANDS.get(content[8:12])
        return f"it is {brand}, which is not read; {_CONVERT}" if brand else "it is a video"
    if content[128:132] == b"DICM":
        return f"it is DICOM; {_CONVERT}"
    for start, sentence in _STARTS:
        if content.startswith(start):
            return sentence
    head = content[:1000].lower()
    return next((sentence for tag, sentence in _MARKUP if tag in head), "")
