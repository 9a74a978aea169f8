"""Gradient × input, and how it is shown."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from dlkit.callbacks.panels.samples.words import SHOWN, marked, plain, relevance
from dlkit.models.fasttext import FastText
from dlkit.models.recurrent_text import recurrent_text
from dlkit.types import Spec

X = torch.tensor([[3, 5, 3, 2], [7, 4, 0, 0]])
SPEC = Spec("tokens", (4,), 2, "classification", classes=("a", "b"), vocab_size=9)


class BagOfWords(nn.Module):
    """`W Σ_t e_t + b`."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.last = nn.Embedding(9, 5, padding_idx=0), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.table(x).sum(1))


def test_of_a_bag_of_words_it_is_what_each_word_adds_to_the_score() -> None:
    model = BagOfWords()
    found = relevance(model, X, lambda out: out[:, 1])
    assert found is not None
    torch.testing.assert_close(found, (model.table(X) @ model.last.weight[1]).detach())
    torch.testing.assert_close(found.sum(1), (model(X)[:, 1] - model.last.bias[1]).detach())


@pytest.mark.parametrize("ngrams", [1, 2, 3])
def test_words_share_what_their_ngrams_add(ngrams: int) -> None:
    model = FastText(nn.Embedding(9 + 50, 6, padding_idx=0), 9, ngrams, 2, 0.0, 0.0).eval()
    found = relevance(model, X, lambda out: out[:, 0])
    assert found is not None and found.shape == X.shape and (found[X == 0] == 0).all()
    torch.testing.assert_close(found.sum(1), (model(X)[:, 0] - model.head.bias[0]).detach())


def test_gradients_hooks_and_weights_stay_as_they_are() -> None:
    model = recurrent_text(SPEC, 2, embedding_size=4, units=4, dropout=0.0).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        found = relevance(model, X, lambda out: out.amax(1))
    assert found is not None and found[1, 2:].abs().max() == 0  # nothing comes through the padding
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_vectors_of_places_are_not_taken_for_those_of_words() -> None:
    class Placed(BagOfWords):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.words = nn.Embedding(4, 5), nn.Embedding(9, 5)

        def forward(self, x: Tensor) -> Tensor:
            places = torch.arange(x.shape[1]).expand(x.shape)
            return self.last((self.words(x) + self.table(places)).sum(1))

    model = Placed()
    found = relevance(model, X, lambda out: out[:, 0])
    assert found is not None
    torch.testing.assert_close(found, (model.words(X) @ model.last.weight[0]).detach())


def test_a_model_without_vectors_has_none() -> None:
    assert relevance(nn.Linear(4, 2), torch.randn(3, 4), lambda out: out[:, 0]) is None


@pytest.mark.filterwarnings("ignore:html5lib")
def test_tensorboard_renders_the_marks_and_nothing_that_stands_in_the_text() -> None:
    from tensorboard.plugin_util import markdown_to_safe_html

    words = ["a*b*", " |", " <b>x</b>", " [l](u)", " `c`", " _d_", " &amp;", " ~~e~~", "\n", " f"]
    text = marked(words, [3.0, 0.1, -2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5])
    html = markdown_to_safe_html(f"| text |\n| --- |\n| {text} |")
    for entity, letter in ((f"&#{ord(c)};", c) for c in "*|[`_~]!"):
        html = html.replace(entity, letter)
    html = html.replace("&#60;", "&lt;").replace("&#62;", "&gt;").replace("&#38;", "&amp;")
    cell = html[html.index("<td>") + 4 : html.index("</td>")]
    assert cell == "<strong>a*b*</strong> |<em> &lt;b&gt;x&lt;/b&gt;</em> [l](u) `c` _d_ &amp;amp; ~~e~~  f"


def test_what_matters_little_is_plain_and_neighbours_share_a_mark() -> None:
    assert marked(["a", "b", "c", "d"], [1.0, 0.8, 0.2, -0.3]) == "<strong>ab</strong>c<em>d</em>"
    assert marked(["a", "b"], [0.0, 0.0]) == "ab"
    assert plain("a|b") == "a&#124;b"


def test_of_a_long_text_the_part_that_matters_most_is_shown() -> None:
    words, weights = [f" {i}" for i in range(200)], [0.0] * 200
    weights[150] = -1.0
    text = marked(words, weights)
    assert "<em> 150</em>" in text and text.startswith("… ") and text.endswith(" …")
    assert len(text.replace("<em>", "").replace("</em>", "").split()) == SHOWN + 2
