"""Operators whose results the elements of their inputs do not decide, and those on text, lists and graphs."""

from __future__ import annotations

from camgraph_exporter.graph.traits.trait import Trait, row

# Why no gradient passes.
_SHAPE = "The result depends on the shape alone."
_PRESENCE = "The result depends on what is there, not on its values."
_NO_INPUT = "There is no input."
_COUNTS = "The inputs are counts and sizes."
_TEXT = "The inputs are bytes, text or word numbers."
_NO_VALUES = "The result does not depend on the values of the input."
_DRAWN = "The result is drawn at random."

ROWS = [
    row("Shape", Trait.OF_SHAPE, stop=_SHAPE),
    row("Size", Trait.OF_SHAPE, stop=_SHAPE),
    row("SequenceLength", Trait.OF_SHAPE, stop=_PRESENCE),
    row("EyeLike", Trait.OF_SHAPE | Trait.FILLS, stop=_NO_VALUES),
    row("ConstantOfShape", Trait.FILLS, stop=_NO_VALUES),
    row("Constant", Trait.FILLS, stop=_NO_INPUT),
    row("Range"),
    row("RandomNormal", Trait.RANDOM | Trait.FILLS, stop=_NO_INPUT),
    row("RandomUniform", Trait.RANDOM | Trait.FILLS, stop=_NO_INPUT),
    row("RandomNormalLike", Trait.RANDOM | Trait.FILLS, stop=_NO_VALUES),
    row("RandomUniformLike", Trait.RANDOM | Trait.FILLS, stop=_NO_VALUES),
    row("Bernoulli", Trait.RANDOM, stop=_DRAWN),
    row("Multinomial", Trait.RANDOM, stop=_DRAWN),
    row("BlackmanWindow", stop=_COUNTS),
    row("HammingWindow", stop=_COUNTS),
    row("HannWindow", stop=_COUNTS),
    row("MelWeightMatrix", stop=_COUNTS),
    row("If", Trait.CONTROL | Trait.LOSES_PLACES),
    row("Loop", Trait.CONTROL | Trait.LOSES_PLACES),
    row("Scan", Trait.CONTROL | Trait.LOSES_PLACES),
    row("SequenceMap", Trait.CONTROL | Trait.LOSES_PLACES),
    row("ConcatFromSequence"),
    row("Optional"),
    row("OptionalGetElement"),
    row("OptionalHasElement", stop=_PRESENCE),
    row("SequenceAt"),
    row("SequenceConstruct"),
    row("SequenceEmpty", stop=_NO_INPUT),
    row("SequenceErase"),
    row("SequenceInsert"),
    row("SplitToSequence"),
    row("ImageDecoder", stop=_TEXT),
    row("RegexFullMatch", stop=_TEXT),
    row("StringConcat", stop=_TEXT),
    row("StringNormalizer", stop=_TEXT),
    row("StringSplit", stop=_TEXT),
    row("TfIdfVectorizer", stop=_TEXT),
]
