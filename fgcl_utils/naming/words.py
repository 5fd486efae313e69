"""What is said of a photo, in words that a careful person would use."""

WARNING = "No fungus is to be eaten by this: it has been wrong before, and some mistakes kill."


def in_words(values, answered, levels):
    """The answer to "what is on my photo?", in a few words.

    Parameters
    ----------
    values : dict
        Of every level ``<level>``, its likeliest class, and ``<level>_familiar``.
    answered : int
        Position of the finest level that is sure enough; L if none is.
    levels : sequence of L str
        Finest first.
    """
    if answered == 0:
        return values[levels[0]]
    finer = levels[answered - 1]
    if answered < len(levels):
        name = values[levels[answered]]
        if values[f"{finer}_familiar"]:
            return f"{name}, {finer} unsure"
        return f"{name}, unlike any {finer} seen in training"
    if values[f"{finer}_familiar"]:
        return f"{finer} unsure"
    return "unlike anything seen in training"
