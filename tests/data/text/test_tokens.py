import io
import unicodedata

import pytest
import torch
from builders import resident
from tokenizers.decoders import ByteLevel

from dlkit.data import Examples, Texts
from dlkit.data.text.tokens import PADDING, SPECIAL, UNKNOWN, Tokens

TEXTS = ["the cat sat on the mat .", "the dog sat", "a cat !"]


def fitted(texts=TEXTS, **options):
    tokens = Tokens(**options)
    tokens.fit(Texts(texts))
    return tokens


def cut(text, **options):
    """The tokens of one text."""
    tokens = fitted([text], **options)
    return [tokens.vocabulary[i] for i in tokens.encode(Texts([text])).values]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's good, isn't it?", "it 's good , is n't it ?"),
        ("he'd've said they'll go", "he 'd 've said they 'll go"),
        ("can't won't 'tis rock'n'roll", "ca n't wo n't ' tis rock'n'roll"),
        ("L'homme d’affaires, o'clock", "l'homme d'affaires , o'clock"),
        ("a sci-fi film (1999) ... 7.5/10", "a sci - fi film ( 1999 ) . . . 7 . 5 / 10"),
        ("the 'best' of dogs' lives", "the ' best ' of dogs ' lives"),
        ("Straße, naïve, हिन्दी, 文字", "straße , naïve , हिन्दी , 文字"),
        ("wait\tfor\u00a0it\n😀😀", "wait for it 😀 😀"),
    ],
)
def test_words_short_forms_and_punctuation_marks_are_tokens(text, expected):
    assert cut(text) == expected.split(" ")


@pytest.mark.parametrize("text", ["wo n't it 's they 'll ca n't", "`` well '' , he said"])
def test_a_text_that_is_tokenised_already_stays_as_it_is_but_for_its_quotation_marks(text):
    assert cut(text) == text.replace("``", "` `").replace("''", "' '").split()


def test_a_text_gives_the_same_words_whether_or_not_it_was_tokenised_before():
    assert cut("It isn't what they've made, he'd say.") == cut("it is n't what they 've made , he 'd say .")


def test_capitals_are_kept_where_lower_is_false():
    assert cut("The cat ISN'T here", lower=False) == ["The", "cat", "IS", "N'T", "here"]


def test_the_vocabulary_is_by_falling_count_and_equals_by_the_alphabet():
    assert fitted().vocabulary == (*SPECIAL, "the", "cat", "sat", "!", ".", "a", "dog", "mat", "on")


def test_characters_are_tokens_too():
    tokens = fitted(["abba", "ca"], tokenizer="char")
    assert tokens.vocabulary == (*SPECIAL, "a", "b", "c")
    assert tokens.encode(Texts(["cab", "x a"])).values.tolist() == [4, 2, 3, UNKNOWN, UNKNOWN, 2]


@pytest.mark.parametrize("tokenizer", ["word", "char", "bpe"])
def test_composed_and_decomposed_accents_are_the_same(tokenizer):
    texts = ["ein schöner Müßiggang", "où étais-tu"]
    tokens = fitted(texts, tokenizer=tokenizer)
    x, y = (tokens.encode(Texts([unicodedata.normalize(form, text) for text in texts])) for form in ("NFC", "NFD"))
    assert torch.equal(x.values, y.values) and torch.equal(x.lengths, y.lengths)


@pytest.mark.parametrize("tokenizer", ["word", "char", "bpe"])
def test_padding_never_stands_inside_a_text_and_no_text_is_without_tokens(tokenizer):
    tokens = fitted(tokenizer=tokenizer)
    texts = ["", " \n", "the <padding> <unknown> 文字", f"\0{TEXTS[0]}", "x"]
    encoded = tokens.encode(Texts(texts))
    assert encoded.lengths.min() == 1 and encoded.values.min() > PADDING
    assert encoded.values.max() < len(tokens.vocabulary) == tokens.promises()["vocab_size"]
    first = encoded[torch.tensor([0])].values.tolist()
    assert first == [UNKNOWN]


def test_words_that_training_did_not_show_are_unknown():
    encoded = fitted().encode(Texts(["the parrot sat"]))
    assert encoded.values.tolist() == [2, UNKNOWN, 4]


def test_rare_words_are_unknown_and_the_vocabulary_has_its_size_at_most():
    assert fitted(min_count=2).vocabulary == (*SPECIAL, "the", "cat", "sat")
    assert fitted(max_size=4).vocabulary == (*SPECIAL, "the", "cat")


def test_texts_are_cut_and_what_is_cut_off_is_no_part_of_the_vocabulary(caplog):
    tokens = fitted(max_length=2)
    assert tokens.vocabulary == (*SPECIAL, "cat", "the", "a", "dog")
    with caplog.at_level("INFO"):
        assert tokens.encode(Texts(TEXTS)).lengths.tolist() == [2, 2, 2]
    assert caplog.messages == ["3 of 3 texts are cut at data.max_length=2 tokens"]


@pytest.mark.parametrize(("texts", "most"), [(TEXTS, 3), (["", " "], 0)])
def test_an_empty_vocabulary_is_refused(texts, most):
    with pytest.raises(ValueError, match=rf"data.min_count=9 leaves no token: the most frequent occurs {most} times"):
        fitted(texts, min_count=9)


SENTENCES = [f"the {word}er the {word}est of {word}s" for word in ("low", "new", "wide", "tall", "small")] * 3


def test_byte_pairs_of_parts_are_those_of_the_whole_text():
    tokens = fitted(SENTENCES, tokenizer="bpe", max_size=300)
    texts = [*SENTENCES, "unseen words, größer 文字 😀!"]
    whole = [[i + 2 for i in tokens._bpe.encode(text).ids] for text in texts]
    assert tokens.encode(Texts(texts)).values.tolist() == [i for ids in whole for i in ids]
    pieces = [tokens.vocabulary[i] for i in whole[-1]]
    assert ByteLevel().decode(pieces).strip() == texts[-1]  # every byte is there, nothing unknown


def test_byte_pairs_merge_what_is_frequent():
    tokens = fitted(SENTENCES, tokenizer="bpe", max_size=300, min_count=2)
    assert len(tokens.vocabulary) <= 300
    assert len(tokens.encode(Texts(["the"])).values) == 1
    assert 1 < len(tokens.encode(Texts(["smallests"])).values) < 9
    assert tokens.promises()["vocabulary"] == ()


def test_byte_pairs_have_room_for_all_bytes():
    with pytest.raises(ValueError, match=r"data.max_size=257: must be at least 258 for tokenizer=bpe"):
        Tokens(tokenizer="bpe", max_size=257)


@pytest.mark.parametrize("tokenizer", ["word", "char", "bpe"])
def test_the_same_texts_give_the_same_vocabulary_in_any_order(tokenizer):
    first, second = (fitted(texts, tokenizer=tokenizer) for texts in (SENTENCES, SENTENCES[::-1]))
    assert first.state_dict() == second.state_dict()


@pytest.mark.parametrize("tokenizer", ["word", "char", "bpe"])
def test_the_state_travels_in_a_checkpoint(tokenizer):
    tokens, file = fitted(tokenizer=tokenizer), io.BytesIO()
    torch.save(tokens.state_dict(), file)
    file.seek(0)
    other = Tokens(tokenizer=tokenizer)
    other.load_state_dict(torch.load(file, weights_only=True))
    texts = Texts(["the cat sat where the dog was", ""])
    assert torch.equal(other.encode(texts).values, tokens.encode(texts).values)
    assert other.promises() == tokens.promises() and other.state_dict() == tokens.state_dict()


def test_the_state_of_another_tokenizer_is_refused():
    with pytest.raises(ValueError, match=r"data.tokenizer=char: the saved vocabulary is that of word"):
        Tokens(tokenizer="char").load_state_dict(fitted().state_dict())


def test_the_vocabulary_is_that_of_the_training_split():
    train, test = Texts(["a b", "b c", "c a", "a a"]), Texts(["d a", "b"])
    splits = {"train": (train, torch.tensor([0, 1, 0, 1])), "test": (test, torch.tensor([0, 1]))}
    data = resident(Examples("text", "classification", splits), encoder=Tokens(), batch_size=2)
    assert data.spec.vocabulary == (*SPECIAL, "a", "b", "c") and data.spec.vocab_size == 5
    assert data.spec.kind == "tokens" and data.spec.input_shape == (2,)
    (batch,) = data.eval("test")
    assert sorted(batch.x.tolist()) == [[UNKNOWN, 2], [3, PADDING]]
