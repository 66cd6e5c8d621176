"""The files in a form that was sent, or in a body that is a file itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from harness.messages import shown
from harness.serving.server.refusal import Refusal

FORM = "multipart/form-data"
FIELD = "file"
"""The name of the form's field, which may occur several times."""
MEDIA = {"image": ("image",), "clip": ("video", "image")}
"""By what the model classifies, the kinds of media types that a body may have which is a file itself; the
usual one first. A clip may be a GIF."""
HEADERS_OF_A_PART = 8
BYTES_OF_A_HEADER = 4096
EXAMPLES = {"image": "image/jpeg", "video": "video/mp4"}


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was sent."""

    name: str
    """As the client calls it; for people only."""
    content: bytes


def read_uploads(
    body: bytes, content_type: str, most_images: int, media: Sequence[str] = MEDIA["image"]
) -> list[Upload]:
    """The files in the body of a request.

    Args:
        body: a form, or one file.
        content_type: the header that says which.
        most_images: files that may be in it.
        media: kinds of media types that a file may have, one of the values of `MEDIA`.

    Raises:
        Refusal: it is neither, is cut off, or has no file or too many.
    """
    kind, options = parse_options_header(content_type)
    if kind.partition(b"/")[0].decode("latin-1") in media or kind == b"application/octet-stream":
        return [Upload("", body)]
    if kind != FORM.encode():
        raise Refusal(
            415,
            f"Send a form ({FORM}) with the {media[0]} in a field {FIELD!r}, or the {media[0]} itself with a "
            f"content type such as {EXAMPLES[media[0]]}; this is {shown(content_type)}.",
        )
    form = _Form(most_images)
    try:
        parser = MultipartParser(
            options.get(b"boundary", b""),
            {
                "on_part_begin": form.begin,
                "on_header_field": form.header_name,
                "on_header_value": form.header_value,
                "on_header_end": form.header_end,
                "on_part_data": form.data,
                "on_part_end": form.end,
                "on_end": form.close,
            },
            max_header_count=HEADERS_OF_A_PART,
            max_header_size=BYTES_OF_A_HEADER,
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Refusal(400, f"The form cannot be read: {error}.") from error
    if not form.closed:
        raise Refusal(400, "The form is cut off.")
    if not form.files:
        raise Refusal(400, f"The form has no file; send the {media[0]} in a field {FIELD!r}.")
    return form.files


@dataclass(slots=True)
class _Form:
    """Collects the parts of a form while it is read."""

    most_images: int
    files: list[Upload] = field(default_factory=list)
    closed: bool = False
    name: bytearray = field(default_factory=bytearray)
    value: bytearray = field(default_factory=bytearray)
    content: bytearray = field(default_factory=bytearray)
    disposition: str = ""

    def begin(self) -> None:
        self.content = bytearray()
        self.disposition = ""

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self.name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self.value += data[start:end]

    def header_end(self) -> None:
        if self.name.lower() == b"content-disposition":
            self.disposition = self.value.decode("utf-8", "replace")
        self.name, self.value = bytearray(), bytearray()

    def data(self, data: bytes, start: int, end: int) -> None:
        self.content += memoryview(data)[start:end]

    def end(self) -> None:
        field_name, file_name = _names(self.disposition)
        if field_name != FIELD:
            raise Refusal(400, f"The form has a field {shown(field_name)}; only {FIELD!r} is known.")
        if len(self.files) == self.most_images:
            raise Refusal(400, f"The form has more than {self.most_images:,} files, which are taken at once.")
        self.files.append(Upload(file_name, bytes(self.content)))

    def close(self) -> None:
        self.closed = True


def _names(disposition: str) -> tuple[str, str]:
    """The names of a part's field and file."""
    # Headers are latin-1 for this parser, browsers send UTF-8.
    _, options = parse_options_header(disposition.encode("utf-8").decode("latin-1"))
    return tuple(options.get(key, b"").decode("utf-8", "replace") for key in (b"name", b"filename"))  # type: ignore[return-value]
