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


def grounds(answer, identifier):
    """What an answer rests on, in a sentence: what validation photos say of such answers."""
    levels, measured = identifier.levels, identifier.namer.measured
    if answer["level"]:
        of_level = measured[levels.index(answer["level"])]
        return (
            f"Of {of_level['answered']:,} validation photos that were named at the level "
            f"{answer['level']}, and not below it, {of_level['risk']:.0%} were named wrongly."
        )
    if not answer[f"{levels[-1]}_familiar"]:
        return (
            "It is farther from every training photo than nearly all validation photos are. The "
            "probabilities hold only if it is of a class that was seen."
        )
    return "Of validation photos with such probabilities, too many were named wrongly."
