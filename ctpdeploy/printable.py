"""Text as it may be shown: names come from files, and terminals obey what is in them."""

__all__ = ["printable"]


def printable(text: str, longest: int | None = None) -> str:
    """A text with a sign in place of every character that shows nothing and may command.

    These are control characters and line breaks, marks that turn the direction of writing, halves of characters, and
    whatever else ``str.isprintable`` refuses.

    Args:
        text: of any origin.
        longest: so many characters of it at most; None for all.
    """
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text[:longest])
