"""What a request to the collector can do wrong as a whole; single events get results instead."""

from shared.errors import InvalidInput


class MalformedBody(InvalidInput):
    """The body holds no events that could be told apart."""

    code = "malformed_body"


class EmptyBatch(InvalidInput):
    """The body is well-formed and holds no event."""

    code = "empty_batch"


class UnsupportedEncoding(InvalidInput):
    """A Content-Encoding other than gzip."""

    status = 415
    code = "unsupported_encoding"
