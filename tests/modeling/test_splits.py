"""The split by prompt."""

from hashlib import sha256

from modeling.splits import is_held_out


def test_about_a_quarter_of_the_prompts_is_held_out() -> None:
    hashes = [sha256(str(number).encode()).hexdigest() for number in range(4_000)]
    share = sum(map(is_held_out, hashes)) / len(hashes)
    # four standard deviations of a share of 4,000 draws at 0.25
    assert abs(share - 0.25) < 4 * (0.25 * 0.75 / 4_000) ** 0.5


def test_a_prompt_stays_on_its_side_for_ever() -> None:
    # Computed with hashlib by hand: the first eight bytes of sha256("split-v1:<hash>") over 2**64.
    digest = sha256(b"split-v1:abc").digest()
    assert is_held_out("abc") == (int.from_bytes(digest[:8], "big") / 2**64 < 0.25)
