"""Records without what may differ between two runs of the same thing: how long it took, and what work."""


def timeless(value):
    """The same without any ``seconds``."""
    if isinstance(value, dict):
        return {name: timeless(each) for name, each in value.items() if name != "seconds"}
    return [timeless(each) for each in value] if isinstance(value, list) else value


def costless(record):
    """Without what was spent: every worker makes the shared sweep for itself."""
    if isinstance(record, dict):
        return {name: costless(each) for name, each in record.items() if name not in ("cost", "spent")}
    return [costless(each) for each in record] if isinstance(record, list) else record
