"""Sans-io codecs: bytes to the canonical model and back. Nothing here opens a socket or a file."""
