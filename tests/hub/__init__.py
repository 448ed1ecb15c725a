"""A hub on the loopback interface that speaks Hugging Face's protocol, and can fail.

The unmodified clients (`huggingface_hub`, `hf_xet`, `datasets`, `fsspec`) talk to it
over real HTTP. `repository` keeps commits, `routes`, `reads` and `writes` answer
requests, `server` speaks HTTP and fails when it is told to.
"""

from tests.hub.repository import Repository
from tests.hub.server import Hub

__all__ = ["Hub", "Repository"]
