"""Records without what may differ between two runs of the same thing: how long it took."""


def timeless(value):
    """The same without any ``seconds``."""
    if isinstance(value, dict):
        return {name: timeless(each) for name, each in value.items() if name != "seconds"}
    return [timeless(each) for each in value] if isinstance(value, list) else value
