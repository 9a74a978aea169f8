import pytest
import torch

from dlkit.data.order import epoch_order, share, shared

LABELS = torch.arange(4096) % 3
LENGTHS = torch.randint(8, 65, (4096,), generator=torch.manual_seed(0))
RARE = torch.cat([torch.zeros(2700), torch.ones(270), torch.full((30,), 2.0)]).long()


def padding(order, lengths=LENGTHS, batch_size=32):
    """Steps computed for each real one."""
    batches = lengths[order[: len(order) // batch_size * batch_size]].view(-1, batch_size)
    return float(batches.amax(1).sum() * batch_size / batches.sum())


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("batch_size", [32, 100])  # 100 leaves 96 over
def test_an_epoch_is_a_permutation_another_for_each_seed_and_epoch(lengths, batch_size):
    orders = [
        epoch_order(seed, epoch, LABELS, "uniform", lengths, batch_size) for seed, epoch in ((0, 0), (0, 1), (1, 0))
    ]
    for order in orders:
        assert torch.equal(order.sort().values, torch.arange(4096))
    assert not torch.equal(orders[0], orders[1]) and not torch.equal(orders[0], orders[2])


@pytest.mark.parametrize("sampler", ["uniform", "balanced"])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_an_epoch_is_a_function_of_seed_and_number_alone(sampler, lengths):
    first = epoch_order(3, 7, LABELS, sampler, lengths, 32)
    torch.rand(5)
    assert torch.equal(first, epoch_order(3, 7, LABELS, sampler, lengths, 32))


def test_balanced_draws_every_class_equally_often_however_rare():
    drawn = torch.cat([epoch_order(0, epoch, RARE, "balanced") for epoch in range(20)])
    counts = torch.bincount(RARE[drawn])
    # of 60,000 draws each class has 20,000 ± 115 (one standard deviation)
    assert ((counts - 20_000).abs() < 5 * 115).all()
    assert len(drawn[RARE[drawn] == 2].unique()) == 30  # each of the rare ones
    within = torch.bincount(drawn[RARE[drawn] == 1])[2700:].float()
    assert within.min() > 0 and abs(float(within.var() / within.mean()) - 1) < 0.3  # as by chance: Poisson


def test_grouping_by_length_pads_little_where_random_batches_pad_much():
    orders = [epoch_order(0, 0, LABELS, "uniform", lengths, 32) for lengths in (None, LENGTHS)]
    without, grouped = map(padding, orders)
    assert without > 1.65
    assert grouped < 1.1


def test_grouped_batches_stay_random():
    first, second = (epoch_order(0, epoch, LABELS, "uniform", LENGTHS, 32).view(-1, 32) for epoch in (0, 1))
    means = LENGTHS[first].float().mean(1)
    assert abs(float(torch.corrcoef(torch.stack([means, torch.arange(128.0)]))[0, 1])) < 0.3  # not from short to long
    mates = [{frozenset(batch) for batch in order.tolist()} for order in (first, second)]
    assert not mates[0] & mates[1]


def test_balanced_draws_can_be_grouped_too():
    lengths = LENGTHS[: len(RARE)]
    order = epoch_order(0, 0, RARE, "balanced", lengths, 30)
    assert torch.equal(order.sort().values, epoch_order(0, 0, RARE, "balanced").sort().values)
    assert padding(order, lengths, 30) < 1.1


def test_shares_are_those_of_tensor_split():
    for count, of in ((10, 3), (7, 7), (64, 1)):
        parts = [torch.arange(count)[share(count, number, of)] for number in range(of)]
        assert all(torch.equal(a, b) for a, b in zip(parts, torch.arange(count).tensor_split(of), strict=True))


def test_of_few_rows_to_evaluate_every_process_has_all():
    assert [shared(2, number, 3) for number in range(3)] == [slice(0, 2)] * 3
    assert [shared(3, number, 3) for number in range(3)] == [slice(0, 1), slice(1, 2), slice(2, 3)]
