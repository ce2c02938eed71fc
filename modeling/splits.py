"""Which prompts are held out for testing: decided by the prompt's own content, for ever."""

from hashlib import sha256

TEST_SHARE = 0.25
SPLIT_VERSION = "split-v1"


def is_held_out(prompt_hash: str) -> bool:
    """Whether a prompt belongs to the test side.

    The content hash decides, so a prompt stays on its side as data grows, when it is imported
    again, and from one model to the next.
    """
    digest = sha256(f"{SPLIT_VERSION}:{prompt_hash}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < TEST_SHARE * 2**64
