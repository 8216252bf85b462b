"""Words that more than one text needs."""


def counted(number: int, noun: str) -> str:
    """`1 tenant`, `1,500 tables`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
